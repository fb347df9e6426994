/** Step 5: the proxy is killed outright, and a new one takes over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.ts';
import { patienceMs } from '../expect.ts';
import { claim } from '../failure.ts';
import type { LogLine } from '../log-line.ts';
import { isProgrammed } from '../proxy-log.ts';
import { count, milliseconds, paint, type Screen } from '../screen.ts';
import type { Traffic } from '../traffic.ts';
import type { World } from '../world.ts';

/** How long there is no proxy. */
const deadMs = 500;
const startMs = 20_000;
/** How long the kernel is watched after the new proxy is ready. */
const afterMs = 300;

/** Kills and restarts the proxy, and shows that neither connections nor rules notice. */
export async function showRestart(world: World, screen: Screen, traffic: Traffic): Promise<void> {
  screen.progress('killing the proxy');
  const begin = await mark(world, 'demo-kill');
  await world.proxy.end('SIGKILL');
  const before = await traffic.visits();
  await sleep(deadMs);
  const alone = (await traffic.visits()).connections - before.connections;
  claim(alone > 0, 'no connection was made while there was no proxy');

  screen.progress('starting another proxy');
  const startedAt = monotonicMs();
  const ready = await world.startProxy().line(0, 'that it is ready', isProgrammed, startMs);
  await sleep(afterMs);
  const writes = ready.fields['operations'];
  claim(writes === '0', `the new proxy wrote ${writes} objects instead of adopting what is there`);
  const end = await mark(world, 'demo-restarted');
  const changes = world.kernelEvents.linesFrom(
    begin,
    ({ number, text }) => number < end && / ip6? switchyard( |$)/.test(text),
  );
  claim(
    changes.length === 0,
    `nft monitor saw the rules change:\n${changes.map(({ text }) => `    ${text}\n`).join('')}`,
  );
  await traffic.keptStillAnswers();
  const { keptAt } = traffic;
  const { connections } = await traffic.end();

  screen.line(
    `  no proxy for ${milliseconds(deadMs)}: the kernel goes on, ${count(alone)} connections, ${paint('green', '0 failed')}`,
  );
  screen.line(
    `  new proxy: up to date ${milliseconds(ready.at - startedAt)} after its start, ` +
      `${paint('green', '0 objects written')}; nft monitor saw none`,
  );
  screen.line(
    `  ${count(connections)} connections through steps 4 and 5, ${paint('green', '0 failed')}; ` +
      `the one to ${keptAt} ${paint('green', 'still answers')}`,
  );
}

/**
 * Adds an empty table of ours and waits until `nft monitor` tells of it: everything before is then told too. Returns
 * the number of the line that told it.
 */
async function mark(world: World, table: string): Promise<number> {
  const { kernelEvents } = world;
  world.onNode('nft', ['add', 'table', 'ip', table]);
  const told = ({ text }: LogLine): boolean => text === `add table ip ${table}`;
  const what = `that table ${table} was added`;
  const { number } = await kernelEvents.line(0, what, told, patienceMs);
  return number;
}
