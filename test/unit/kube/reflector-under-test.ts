/** A reflector of Services with a scripted server, time that stands still, and a record of what it told. */
import type { KubeError } from '../../../src/kube/errors.ts';
import type { ObjectProblem } from '../../../src/kube/object-table.ts';
import { Reflector, type ReflectorOptions } from '../../../src/kube/reflector.ts';
import type { ServiceItem } from '../../../src/core/change.ts';
import { SERVICES } from '../../../src/kube/resources.ts';
import { FakeClock, turns } from '../agent/fakes.ts';
import { ScriptedClient } from './scripted-client.ts';

export interface Trouble {
  readonly error: KubeError;
  readonly retryMs: number;
}

/** Starts one in each test; ends it with the test. */
export class ReflectorUnderTest implements AsyncDisposable {
  readonly client = new ScriptedClient();
  readonly clock = new FakeClock();
  readonly reflector: Reflector<ServiceItem>;
  /** `set NAME PORT` or `remove NAME`, one list for each call. */
  readonly told: string[][] = [];
  readonly times: number[] = [];
  readonly problems: ObjectProblem[] = [];
  readonly troubles: Trouble[] = [];
  recoveries = 0;
  isSynced = false;

  constructor(options: Partial<ReflectorOptions<ServiceItem>> = {}) {
    this.reflector = new Reflector({
      client: this.client,
      resource: SERVICES,
      format: 'json',
      watchList: false,
      clock: this.clock,
      random: () => 0,
      events: {
        onChanges: (changes, at) => {
          this.times.push(at);
          this.told.push(
            changes.map(({ type, item: { object } }) =>
              type === 'set'
                ? `set ${object.name} ${String(object.ports[0]?.port)}`
                : `remove ${object.name}`,
            ),
          );
        },
        onProblem: (problem) => this.problems.push(problem),
        onTrouble: (error, retryMs) => this.troubles.push({ error, retryMs }),
        onRecovered: () => this.recoveries++,
      },
      ...options,
    });
    void this.reflector.synced.then(() => (this.isSynced = true));
  }

  /** Codes of the troubles told so far. */
  get codes(): readonly string[] {
    return this.troubles.map(({ error }) => error.code);
  }

  /** Answers the next request, a LIST, with a whole body. */
  async list(body: string | Buffer): Promise<void> {
    const exchange = await this.client.next();
    exchange.grant().send(body).end();
    await turns();
  }

  /** Lists these Services at that version and returns the watch that follows. */
  async sync(body: string): Promise<Awaited<ReturnType<ScriptedClient['next']>>> {
    await this.list(body);
    const watch = (await this.client.next()).grant();
    await turns();
    return watch;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reflector.close();
  }
}
