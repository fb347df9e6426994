/** The table of all behaviours. */
import type { ConformanceCase } from './case.ts';
import { affinity } from './cases/affinity.ts';
import { basics } from './cases/basics.ts';
import { content } from './cases/content.ts';
import { continuity } from './cases/continuity.ts';
import { counters } from './cases/counters.ts';
import { frontends } from './cases/frontends.ts';
import { lifecycle } from './cases/lifecycle.ts';
import { masquerade } from './cases/masquerade.ts';
import { noEndpoints } from './cases/no-endpoints.ts';
import { policies } from './cases/policies.ts';
import { resilience } from './cases/resilience.ts';
import { sourceRanges } from './cases/source-ranges.ts';
import { topology } from './cases/topology.ts';
import { udp } from './cases/udp.ts';

export const cases: readonly ConformanceCase[] = [
  ...basics,
  ...frontends,
  ...sourceRanges,
  ...noEndpoints,
  ...policies,
  ...topology,
  ...masquerade,
  ...affinity,
  ...udp,
  ...lifecycle,
  ...continuity,
  ...resilience,
  ...content,
  ...counters,
];
