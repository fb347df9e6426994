/** Entry of the executable. Under the name of kube-proxy, as in an image that takes its place, it is `switchyard proxy`. */
import { once } from 'node:events';
import { basename } from 'node:path';
import { runProgram } from './program.ts';

const [, name = '', ...args] = process.argv;
const isKubeProxy = basename(name) === 'kube-proxy';
const { stdout, stderr } = process;

stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Who reads has seen enough: `switchyard ipvs connections | head`.
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

process.exitCode = await runProgram(isKubeProxy ? ['proxy', ...args] : args, {
  out: (text) => stdout.write(text),
  error: (text) => stderr.write(text),
  drained: async () => {
    if (stdout.writableNeedDrain) await once(stdout, 'drain');
  },
  terminal: () => (stdout.isTTY ? { rows: stdout.rows, columns: stdout.columns } : undefined),
});
