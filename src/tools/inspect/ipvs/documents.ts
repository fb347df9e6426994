/** What IPVS holds as values for programs: the fields of JSON and YAML. */
import type {
  IpvsInfo,
  RealServerInfo,
  Scheduling,
  ServerStats,
  VirtualName,
} from '../../../kernel/ipvs/servers.ts';
import { schedulerFlagNames } from './scheduler-flags.ts';
import type { NamedServer } from './servers.ts';

/** All servers. */
export interface ServersDocument extends IpvsInfo {
  readonly virtualServers: readonly ServerDocument[];
}

/** A virtual server: `protocol`, `address`, `port`, or `mark`, `family`, and what is known of it. */
type ServerDocument = VirtualName &
  Omit<Scheduling, 'schedulerFlags'> & {
    /** As ipvsadm calls them. */
    readonly schedulerFlags: readonly string[];
    readonly service: string | undefined;
    readonly stats: ServerStats;
    readonly realServers: readonly RealServerInfo[];
  };

/** The same document for list, stats and rate: programs pick what they need. */
export function serversDocument(info: IpvsInfo, servers: readonly NamedServer[]): ServersDocument {
  return {
    ...info,
    virtualServers: servers.map(({ name, scheduling, service, stats, realServers }) => ({
      ...name,
      service,
      ...scheduling,
      schedulerFlags: schedulerFlagNames(scheduling),
      stats,
      realServers,
    })),
  };
}
