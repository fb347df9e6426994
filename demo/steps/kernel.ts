/** The end: what the kernel holds, in the words of nft. */
import { claim } from '../failure.ts';
import { frontends } from '../shop.ts';
import { paint, screenWidth, type Screen } from '../screen.ts';
import type { World } from '../world.ts';

const listing = ['list', 'map', 'ip', 'switchyard', 'service-ips'];
const elementsShown = 2;

/** Lists some elements of the map that all Services are in. */
export function showKernel(world: World, screen: Screen): void {
  const output = world.onNode('nft', listing);
  const { address } = frontends.search;
  claim(output.includes(address), `nft does not list ${address} of the Service that was added`);
  const elements = output
    .split('\n')
    .map((line) => line.trim())
    .filter(isElement);
  const [first = '', ...others] = elements.slice(0, elementsShown);
  const indent = ' '.repeat(first.indexOf('{') + 2);
  for (const line of [first, ...others.map((other) => indent + other)]) {
    screen.line(`  ${paint('dim', line.slice(0, screenWidth - 2))}`);
  }
  screen.line(`  ${indent}${paint('dim', `… ${elements.length - elementsShown} more`)}`);
}

/** `10.96.0.20 . tcp . 80 … : 3`, and not a line of the map's definition. */
function isElement(line: string): boolean {
  return /\d \. \w+ \. \d+ .*: /.test(line);
}
