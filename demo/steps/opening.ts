/** The beginning: what stands where, and the proxy's first load. */
import { readFileSync, readdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { podNames, podAddress } from '../shop.ts';
import { servers } from '../../test/lab/topology.ts';
import { monotonicMs } from '../clock.ts';
import { isProgrammed } from '../proxy-log.ts';
import { milliseconds, paint, type Screen } from '../screen.ts';
import type { World } from '../world.ts';
import manifest from '../../package.json' with { type: 'json' };

const startMs = 20_000;

/** Prints who is who. */
export function showHosts(screen: Screen): void {
  const versions = `on Linux ${release()}, Node.js ${process.version}`;
  const name = paint('bold', `Switchyard ${manifest.version}`);
  screen.line(`${name} ${versions}: a web shop in network namespaces`);
  screen.line(`  client 192.0.2.2, .3 ─── node-1 10.1.0.1 ─┬─ ${podsOf('node-1')}`);
  screen.line(`                          the proxy's node  └─ ${podsOf('node-2')}   (on node-2)`);
}

function podsOf(node: string): string {
  return podNames
    .filter((pod) => servers[pod].nodeName === node)
    .map((pod) => `${pod} ${podAddress(pod)}`)
    .join('   ');
}

/** Starts the proxy and waits until the kernel holds the whole shop. */
export async function showFirstLoad(world: World, screen: Screen): Promise<void> {
  screen.progress('starting the proxy');
  const startedAt = monotonicMs();
  const ready = await world.startProxy().line(0, 'that it is ready', isProgrammed, startMs);
  screen.line(`  $ ${paint('bold', world.proxyCommand.join(' \\\n      '))}`);
  screen.line(
    `  ${objectsIn(world.folder)}: in the kernel ${milliseconds(ready.at - startedAt)} after the start of the process`,
  );
}

/** `7 Services, 8 EndpointSlices, 1 Node`, counted in the files. */
function objectsIn(folder: string): string {
  const text = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
  return ['Service', 'EndpointSlice', 'Node']
    .map((kind) => {
      const number = text.split('\n').filter((line) => line === `kind: ${kind}`).length;
      return `${number} ${kind}${number === 1 ? '' : 's'}`;
    })
    .join(', ');
}
