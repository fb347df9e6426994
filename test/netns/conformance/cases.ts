/** The tables of all behaviours. */
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

/** Behaviours under a title of the feature table (docs/features.md). */
export interface CaseGroup {
  readonly title: string;
  readonly cases: readonly ConformanceCase[];
}

export const caseGroups: readonly CaseGroup[] = [
  { title: 'Cluster IPs and endpoints', cases: basics },
  { title: 'Node ports, external IPs, load-balancer IPs', cases: frontends },
  { title: 'Source ranges', cases: sourceRanges },
  { title: 'Services without endpoints', cases: noEndpoints },
  { title: 'Traffic policies and termination', cases: policies },
  { title: 'Topology', cases: topology },
  { title: 'Masquerading', cases: masquerade },
  { title: 'Session affinity', cases: affinity },
  { title: 'UDP', cases: udp },
  { title: 'Changes', cases: lifecycle },
  { title: 'Connections during changes', cases: continuity },
  { title: 'Crashes, damage, and what others have', cases: resilience },
  { title: 'What is in the kernel', cases: content },
  { title: 'Traffic counters', cases: counters },
];

export const cases: readonly ConformanceCase[] = caseGroups.flatMap((group) => group.cases);
