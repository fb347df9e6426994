/** What the ports of Services and of EndpointSlices have in common. */
import type { Protocol } from '../model.ts';

/** All protocols. */
export const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];

/** Valid port numbers, first and last. */
export const PORT_RANGE = [1, 65_535] as const;
