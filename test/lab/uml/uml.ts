/**
 * One command under a kernel of its own: Debian's user-mode Linux, which has IPVS, ipset and SCTP, needs neither
 * KVM nor modules of the host, and is an ordinary process.
 *
 * The guest is root on the host's files with a layer of memory over them: it writes where it likes, and nothing of
 * it arrives. It has no network to the host. It lives in namespaces that end with this process, however that ends,
 * and leaves no file behind.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable, type Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** What to run in the guest, and with how much. */
export interface UmlCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Memory of the guest in MiB. The host gives what is used of it. */
  readonly memoryMb: number;
  /** Take the command's output as it comes, byte for byte. */
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Called when the guest is ready and the command starts. */
  readonly onBoot: () => void;
  /** Kills the guest. */
  readonly signal: AbortSignal;
}

const launcher = fileURLToPath(new URL('launch.sh', import.meta.url));
const modules = '/usr/lib/uml/modules';

/** Programs that the scripts call, and the Debian package of each. */
const packages: Readonly<Record<string, string>> = {
  setpriv: 'util-linux',
  unshare: 'util-linux',
  taskset: 'util-linux',
  flock: 'util-linux',
  modprobe: 'kmod',
  ip: 'iproute2',
  // See xstate.c.
  ...(/^flags.* amx_tile /m.test(readFileSync('/proc/cpuinfo', 'utf8')) ? { cc: 'tcc' } : {}),
};

/** Users that are not root may lack these on their PATH. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
const hostEnvironment = {
  ...process.env,
  PATH: [process.env['PATH'] ?? '', ...systemFolders].join(delimiter),
};

const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child'] as const;

function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version'], { env: hostEnvironment }).error === undefined;
}

/** Why no guest can be booted on this machine, or `undefined` if it can. */
export function umlReason(): string | undefined {
  const kernel = spawnSync('linux.uml', ['--version'], { env: hostEnvironment, encoding: 'utf8' });
  if (kernel.error !== undefined) return 'needs linux.uml (Debian package user-mode-linux)';
  const folder = `${modules}/${kernel.stdout.trim()}`;
  if (!existsSync(`${folder}/modules.dep`)) {
    return `needs ${folder} (Debian package user-mode-linux)`;
  }
  const missing = Object.entries(packages).find(([program]) => !isInstalled(program));
  if (missing !== undefined) return `needs ${missing[0]} (Debian package ${missing[1]})`;
  const [program, ...flags] = unshare;
  return spawnSync(program, [...flags, 'true']).status === 0
    ? undefined
    : 'this process may not make mount and PID namespaces: run it as root';
}

/**
 * Boots a guest, runs the command in it and resolves to its exit status.
 *
 * Rejects when the guest does not boot, dies under the command, or is killed by the signal; by then nothing of it is
 * left. To be called where {@link umlReason} has no reason.
 */
export async function runInUml(command: UmlCommand): Promise<number> {
  const launch = [...unshare, 'bash', launcher, String(command.memoryMb)];
  const guest = spawn('setpriv', ['--pdeathsig', 'KILL', ...launch], {
    // In a session of its own: the terminal's Ctrl-C is for us.
    detached: true,
    env: hostEnvironment,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const kill = (): void => {
    guest.kill('SIGKILL');
  };
  command.signal.addEventListener('abort', kill);

  readable(guest.stdout).pipe(command.stdout, { end: false });
  readable(guest.stderr).pipe(command.stderr, { end: false });
  let log = '';
  readable(guest.stdio[3])
    .setEncoding('utf8')
    .on('data', (text: string) => {
      log += text;
    });
  let status: number | undefined;
  createInterface({ input: readable(guest.stdio[4]) }).on('line', (report) => {
    if (report === 'booted') command.onBoot();
    else status = Number(report.replace('exit ', ''));
  });
  // A launcher that is gone cannot take its input; its log says why.
  guest.stdin.on('error', () => undefined);
  guest.stdin.end(script(command));

  await once(guest, 'close');
  command.signal.removeEventListener('abort', kill);
  if (status === undefined) throw new Error(`user-mode Linux ended:\n${causeOfDeath(log)}`);
  return status;
}

function readable(stream: unknown): Readable {
  if (!(stream instanceof Readable)) throw new TypeError('the child has no such pipe');
  return stream;
}

/** What led to the kernel's panic, without the trace that follows it; or else the end of its log. */
function causeOfDeath(log: string): string {
  const lines = log.trimEnd().split('\n');
  const panic = lines.findIndex((line) => line.includes('Kernel panic'));
  const end = panic < 0 ? lines.length : panic + 1;
  return lines.slice(Math.max(0, end - 15), end).join('\n');
}

/** The command as lines for bash. */
function script({ program, args, cwd, env }: UmlCommand): string {
  // Our Node.js first, whatever the machine has.
  const path = [dirname(process.execPath), env['PATH'] ?? '', ...systemFolders].join(delimiter);
  // The guest has its own folder for temporary files; a test runner around us is none of its business.
  const { TMPDIR: _, NODE_TEST_CONTEXT: __, ...kept } = env;
  const variables = Object.entries({ ...kept, PATH: path })
    .filter(([name]) => /^[A-Za-z_]\w*$/.test(name))
    .map(([name, value]) => `export ${name}=${quoted(value)}`);
  const words = [program, ...args].map((word) => quoted(word));
  return [...variables, `cd ${quoted(cwd)} || exit`, words.join(' '), ''].join('\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
