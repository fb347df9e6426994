/** Step 4: files are edited while a client opens connections without a pause. */
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { monotonicMs } from '../clock.ts';
import { patienceMs } from '../expect.ts';
import { claim } from '../failure.ts';
import { isProgrammedFor } from '../proxy-log.ts';
import { frontends, podAddress } from '../shop.ts';
import { milliseconds, paint, type Column, type Screen } from '../screen.ts';
import type { Traffic } from '../traffic.ts';
import type { World } from '../world.ts';

const addedService = fileURLToPath(new URL('../search.yaml', import.meta.url));

/** How long the connections go on before and after a change. */
const observationMs = 400;

const columns: readonly Column[] = [
  { title: 'edit', align: 'left' },
  { title: 'write to kernel ack', align: 'right' },
  { title: 'what connections noticed, from the write on', align: 'left' },
];

/** When a file was written, and when the proxy reported the kernel's acknowledgement. */
interface Edit {
  readonly writtenAt: number;
  readonly ackAt: number;
}

/** Edits files and shows how long each edit took to reach the kernel and the connections. */
export async function showChanges(world: World, screen: Screen, traffic: Traffic): Promise<void> {
  screen.progress('editing files while connections come in');
  await sleep(observationMs);
  const cells = [await removeEndpoint(world, traffic), await addService(world)];
  screen.table(columns, cells);
  await traffic.keptStillAnswers();
}

/** Writes a file of a Service and waits until it is programmed. */
async function edit(world: World, service: string, write: () => void): Promise<Edit> {
  const { proxy } = world;
  const from = proxy.lineCount;
  const writtenAt = monotonicMs();
  write();
  const what = `that the edit of ${service} is programmed`;
  const { at } = await proxy.line(from, what, isProgrammedFor(service), patienceMs);
  return { writtenAt, ackAt: at };
}

async function removeEndpoint(world: World, traffic: Traffic): Promise<readonly string[]> {
  const pod = traffic.keptAt;
  const file = join(world.folder, 'frontend.yaml');
  const lines = readFileSync(file, 'utf8').split('\n');
  const rest = lines.filter((line) => !line.includes(`[${podAddress(pod)}]`));
  claim(lines.length - rest.length === 1, `${file} does not name ${pod} in exactly one line`);
  const { writtenAt, ackAt } = await edit(world, 'frontend', () => {
    // In one step: whoever looks while a file is written in place may find it empty.
    writeFileSync(`${file}.new`, rest.join('\n'));
    renameSync(`${file}.new`, file);
  });
  await sleep(observationMs);
  const { [pod]: last, ...others } = (await traffic.visits()).servers;
  claim(last !== undefined, `no connection reached ${pod} before it was removed`);
  claim(
    last.lastStartedAt <= ackAt,
    `a connection begun ${milliseconds(last.lastStartedAt - ackAt)} after the kernel's ack reached ${pod}`,
  );
  const served = Object.values(others).every(({ lastStartedAt }) => lastStartedAt > ackAt);
  claim(served, 'the endpoints that stayed got no connections any more');
  return [
    `frontend.yaml: ${pod} deleted`,
    paint('green', milliseconds(ackAt - writtenAt)),
    `last one to ${pod} begun ${moment(last.lastStartedAt - writtenAt)}`,
  ];
}

async function addService(world: World): Promise<readonly string[]> {
  const { address, port, service, pods } = frontends.search;
  const first = world.shopper.call('firstAnswer', {
    address,
    port,
    everyMs: 1,
    giveUpMs: patienceMs,
  });
  // It must be seen not to answer before it can be seen to begin.
  await sleep(50);
  const { writtenAt, ackAt } = await edit(world, service, () => {
    copyFileSync(addedService, join(world.folder, `${service}.yaml`));
  });
  const answer = await first;
  claim(answer !== null, `${service} did not answer within ${patienceMs} ms of being added`);
  claim(answer.startedAt >= writtenAt, `${service} answered before it was added`);
  claim(
    pods.some((pod) => pod === answer.server),
    `${service} was answered by ${answer.server}, no endpoint of it`,
  );
  return [
    `${service}.yaml: Service added`,
    paint('green', milliseconds(ackAt - writtenAt)),
    `first one answered begun ${moment(answer.startedAt - writtenAt)}`,
  ];
}

function moment(afterMs: number): string {
  return afterMs < 0 ? `${milliseconds(-afterMs)} before it` : `after ${milliseconds(afterMs)}`;
}
