/** `/metrics/slis`: how often the metrics port's own health check ran (KEP-3466). */
import { type Answer, answer, plainText } from './answer.ts';

/** Counts the checks called `ping`, which never fail: who answers is there. */
export class PingSlis {
  #count = 0;

  /** A check was answered. */
  count(): void {
    this.#count++;
  }

  /** The metrics in Prometheus' text format. DELETE starts them anew. */
  answer(method: string | undefined): Answer {
    if (method === 'DELETE') {
      this.#count = 0;
      return plainText(200, 'metrics reset\n');
    }
    const labels = 'name="ping",type="healthz"';
    const counted = [
      '# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.',
      '# TYPE kubernetes_healthcheck gauge',
      `kubernetes_healthcheck{${labels}} 1`,
      '# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.',
      '# TYPE kubernetes_healthchecks_total counter',
      `kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} ${this.#count}`,
      '',
    ];
    const body = this.#count === 0 ? '' : counted.join('\n');
    return answer(200, 'text/plain; version=0.0.4; charset=utf-8', body);
  }
}
