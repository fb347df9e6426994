/** Step 1: each kind of address answers, all endpoints take their share, and whom they see. */
import { allAnswered, evenSpread, visit } from '../expect.ts';
import { claim } from '../failure.ts';
import { addressAndPort, frontends, podAddress, podNames, type Frontend } from '../shop.ts';
import { count, paint, type Column, type Screen } from '../screen.ts';
import type { World } from '../world.ts';
import { clientAddress, nodeAddress, type HostName } from '../../test/lab/topology.ts';

interface Row {
  readonly from: HostName;
  readonly to: Frontend;
  readonly connections: number;
  /** Source address the servers must see. */
  readonly seen: string;
}

const { loadBalancer, loadBalancer6, nodePort, payments, catalog, dns } = frontends;

const rows: readonly Row[] = [
  { from: 'client', to: loadBalancer, connections: 400, seen: nodeAddress.IPv4 },
  { from: 'client', to: loadBalancer6, connections: 400, seen: nodeAddress.IPv6 },
  { from: 'client', to: nodePort, connections: 400, seen: nodeAddress.IPv4 },
  { from: 'client', to: payments, connections: 200, seen: clientAddress.IPv4 },
  { from: 'client', to: catalog, connections: 300, seen: nodeAddress.IPv4 },
  { from: 'pod-a', to: catalog, connections: 300, seen: podAddress('pod-a') },
  { from: 'pod-a', to: dns, connections: 200, seen: podAddress('pod-a') },
];

const why =
  'masqueraded: traffic policy Cluster, or to a ClusterIP from outside the cluster; kept: the rest';

const columns: readonly Column[] = [
  { title: 'from', align: 'left' },
  { title: 'to', align: 'left' },
  { title: '', align: 'left' },
  { title: '', align: 'left' },
  ...podNames.map((title): Column => ({ title, align: 'right' })),
  { title: 'client seen as', align: 'left' },
];

/** Visits every frontend and shows where the connections ended up. */
export async function showAnswers(world: World, screen: Screen): Promise<void> {
  const cells: (readonly string[])[] = [];
  for (const row of rows) {
    const { from, to, connections } = row;
    screen.progress(`${connections} times from ${from} to ${to.service}`);
    const results = await visit(world, from, to, { count: connections, parallel: 8 });
    const answers = allAnswered(to, results);
    claim(answers.length === connections, `only ${answers.length} of ${connections} probes ended`);
    const spread = evenSpread(to, answers);
    for (const { peer, server } of answers) {
      claim(peer === row.seen, `${server} saw ${peer} and not ${row.seen} behind ${to.service}`);
    }
    cells.push([
      from,
      paint('cyan', to.service),
      to.kind,
      to.protocol === 'TCP' ? addressAndPort(to) : `${addressAndPort(to)} ${to.protocol}`,
      ...podNames.map((pod) => {
        const share = spread.get(pod);
        return share === undefined ? paint('dim', '-') : paint('green', count(share));
      }),
      `${row.seen} ${paint('dim', isOwn(row) ? 'kept' : 'masqueraded')}`,
    ]);
  }
  screen.table(columns, cells);
  screen.line(`  ${paint('dim', why)}`);
}

/** The client's own address is seen. */
function isOwn({ seen }: Row): boolean {
  return seen !== nodeAddress.IPv4 && seen !== nodeAddress.IPv6;
}
