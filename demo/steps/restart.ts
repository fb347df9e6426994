/** Step 5: the proxy is killed outright, and a new one takes over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.ts';
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
  const { kernelEvents } = world;
  screen.progress('killing the proxy');
  claim(
    kernelEvents.linesFrom(0, isGeneration).length > 0,
    'nft monitor has not reported any change so far, so its silence would mean nothing',
  );
  const eventsBefore = kernelEvents.lineCount;
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
  const changes = kernelEvents.linesFrom(eventsBefore, isGeneration).length;
  claim(changes === 0, `nft monitor saw the rules change ${changes} times`);
  await traffic.keptStillAnswers();
  const { keptAt } = traffic;
  const { connections } = await traffic.end();

  screen.line(
    `  no proxy for ${milliseconds(deadMs)}: the kernel goes on, ${count(alone)} connections, ${paint('green', '0 failed')}`,
  );
  screen.line(
    `  new proxy: up to date ${milliseconds(ready.at - startedAt)} after its start, ` +
      `${paint('green', '0 objects written')}; nft monitor saw no change`,
  );
  screen.line(
    `  ${count(connections)} connections through steps 4 and 5, ${paint('green', '0 failed')}; ` +
      `the one to ${keptAt} ${paint('green', 'still answers')}`,
  );
}

function isGeneration({ text }: LogLine): boolean {
  return text.startsWith('# new generation');
}
