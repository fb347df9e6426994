/** The health port, 10256 by default. Cloud load balancers and the kubelet ask it. */
import type { Clock } from '../../core/clock.ts';
import type { Address } from '../../core/ip.ts';
import { type Answer, NOT_FOUND } from './answer.ts';
import { healthzAnswer, livezAnswer } from './health-answers.ts';
import type { HealthReport, HealthState } from './health-state.ts';
import { pathOf } from './request.ts';
import { dualStack, Listener, type ListenerEvents } from './server.ts';
import { localZoneMinutes } from './time-text.ts';

/** What the health port is made of. */
export interface HealthServerOptions {
  /** A wildcard means both families. */
  readonly address: Address;
  readonly port: number;
  readonly health: HealthState;
  readonly clock: Clock;
  readonly events: ListenerEvents;
  /** A question was answered with that status, for the metrics. */
  readonly onAnswer: (question: HealthQuestion, status: number) => void;
}

/** Paths of the health port. */
type HealthQuestion = 'healthz' | 'livez';

type MakeAnswer = (report: HealthReport, zoneMinutes: number) => Answer;

const QUESTIONS: ReadonlyMap<string, readonly [HealthQuestion, MakeAnswer]> = new Map([
  ['/healthz', ['healthz', healthzAnswer]],
  ['/livez', ['livez', livezAnswer]],
]);

/** Makes the health port; it is still to be opened. Any method is a question, as with kube-proxy. */
export function healthServer(options: HealthServerOptions): Listener {
  return new Listener({
    purpose: 'health checks',
    addresses: dualStack(options.address),
    port: options.port,
    ipv6Only: false,
    clock: options.clock,
    events: options.events,
    handle: (request) => {
      const question = QUESTIONS.get(pathOf(request));
      if (question === undefined) return NOT_FOUND;
      const [name, makeAnswer] = question;
      const report = options.health.read();
      const answer = makeAnswer(report, localZoneMinutes(report.now));
      options.onAnswer(name, answer.status);
      return answer;
    },
  });
}
