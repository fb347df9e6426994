/** What the demo looks for in the proxy's log. */
import type { LogLine } from './log-line.ts';

/** The kernel acknowledged a batch; at -v 2 there is such a line for each. */
export function isProgrammed({ message }: LogLine): boolean {
  return message === 'Programmed';
}

/** The same, of one Service: `services` names those of a batch. */
export function isProgrammedFor(service: string): (line: LogLine) => boolean {
  return (line) => isProgrammed(line) && line.fields['services'] === `shop/${service}`;
}
