/** The demo's steps in their order. */
import type { Screen } from './screen.ts';
import { affinityConnections, showAffinity } from './steps/affinity.ts';
import { showAnswers } from './steps/answers.ts';
import { showChanges } from './steps/changes.ts';
import { showKernel } from './steps/kernel.ts';
import { showFirstLoad, showHosts } from './steps/opening.ts';
import { showRefusals } from './steps/refusals.ts';
import { showRestart } from './steps/restart.ts';
import { Traffic } from './traffic.ts';
import type { World } from './world.ts';

/** Tells the story from the proxy's start to its restart. `onStep` learns what each step is called before it begins. */
export async function tellStory(
  world: World,
  screen: Screen,
  onStep: (name: string) => void,
): Promise<void> {
  const step = (title: string): void => {
    onStep(title);
    screen.title(title);
  };
  showHosts(screen);
  onStep('the proxy starts');
  await showFirstLoad(world, screen);
  step("1  Connections to each kind of address spread over the Service's endpoints");
  await showAnswers(world, screen);
  step('2  What nobody serves is refused at once; what is not allowed gets no answer');
  await showRefusals(world, screen);
  step(
    `3  Session affinity: ${affinityConnections} connections of each client to cart 10.96.0.30:80`,
  );
  await showAffinity(world, screen);
  step('4  Files are edited while a client opens connections without a pause');
  const traffic = await Traffic.begin(world, 'pod-d');
  await showChanges(world, screen, traffic);
  step('5  kill -9 of the proxy, and a new one');
  await showRestart(world, screen, traffic);
  step('$ nft list map ip switchyard service-ips');
  showKernel(world, screen);
}
