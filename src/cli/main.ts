/** Entry of the executable. Under the name of kube-proxy, as in an image that takes its place, it is `switchyard proxy`. */
import { basename } from 'node:path';
import { runProgram } from './program.ts';

const [, name = '', ...args] = process.argv;
const isKubeProxy = basename(name) === 'kube-proxy';

process.exitCode = await runProgram(isKubeProxy ? ['proxy', ...args] : args, {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
});
