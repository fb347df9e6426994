/** `npm start -- --keep`: the demo's world stays, to play with. */
import { paint, type Screen } from './screen.ts';
import { inUserNamespace } from './privileges.ts';
import type { World } from './world.ts';

/** Says how to play, and shows the proxy's log until `stop` resolves. */
export async function keepRunning(
  world: World,
  screen: Screen,
  stop: Promise<void>,
): Promise<void> {
  const enter = inUserNamespace()
    ? `nsenter --target ${process.pid} --user --mount --preserve-credentials `
    : '';
  const on = (host: 'client' | 'node'): string => `${enter}ip netns exec ${world.namespace(host)} `;
  screen.title('It keeps running. In another terminal:');
  const hints = [
    ['a connection of the client', `${on('client')}bash -c 'head -1 < /dev/tcp/203.0.113.80/80'`],
    ['a shell on the client', `${on('client')}bash`],
    ['a shell on the node', `${on('node')}bash`],
    ['the rules', `${on('node')}nft list table ip switchyard`],
    ['files to edit', `${world.folder}/*.yaml`],
  ] as const;
  for (const [what, how] of hints) {
    screen.line(`  ${paint('dim', `${what}:`)}`);
    screen.line(`    ${how}`);
  }
  screen.line(`Ctrl-C ends it and removes everything. The proxy's log:`);
  world.proxy.follow(({ text }) => {
    screen.line(text);
  });
  await stop;
}
