/** Sees to it that the demo may make network namespaces: as root, or as root of a user namespace of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { labReason } from '../test/lab/lab.ts';
import { DemoFailure } from './failure.ts';

/** Set in a demo that runs in a user namespace. */
const markName = 'SWITCHYARD_DEMO_USER_NAMESPACE';

const unshareArgs = ['--user', '--map-root-user', '--net', '--mount'];

/** `ip netns` keeps its names below /run, where only root may write: it gets a /run of its own. */
const privateRun = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && exec "$0" "$@"';

const programs = [
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
  ['setpriv', 'util-linux'],
] as const;

/** True when this demo made itself root of a user namespace. */
export function inUserNamespace(): boolean {
  return process.env[markName] !== undefined;
}

/**
 * Returns when this process may go on. Without root it first replaces itself by the same program in a user
 * namespace. Throws a {@link DemoFailure} that names what is missing where neither is possible.
 */
export function gainPrivileges(): void {
  // Not on the PATH of every user, but `ip` and `nft` may live there.
  process.env['PATH'] = [process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(delimiter);
  requirePrograms();
  if (process.getuid?.() !== 0) enterUserNamespace();
  const reason = labReason();
  if (reason !== undefined) throw new DemoFailure('SY_DEMO_MACHINE', reason);
}

function requirePrograms(): void {
  for (const [program, debianPackage] of programs) {
    if (onPath(program)) continue;
    const message = `the program ${program} is missing: install the Debian package ${debianPackage}`;
    throw new DemoFailure('SY_DEMO_MACHINE', message);
  }
}

function onPath(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => folder !== '' && existsSync(join(folder, program)));
}

function enterUserNamespace(): void {
  const { status, stderr, error } = spawnSync(
    'unshare',
    [...unshareArgs, 'sh', '-c', privateRun, 'true'],
    { encoding: 'utf8' },
  );
  if (status !== 0 || process.execve === undefined) {
    throw new DemoFailure(
      'SY_DEMO_MACHINE',
      `the demo makes network namespaces. It is not run by root, and without root this kernel lets nobody
  make user namespaces (${error?.message ?? stderr.trim()}).
  Run it as root (sudo npm start), or allow user namespaces, whichever of these the machine has:
    sysctl user.max_user_namespaces=10000
    sysctl kernel.unprivileged_userns_clone=1
    sysctl kernel.apparmor_restrict_unprivileged_userns=0`,
    );
  }
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const command = ['env', 'unshare', ...unshareArgs, 'sh', '-c', privateRun, ...again];
  process.execve('/usr/bin/env', command, { ...process.env, [markName]: '1' });
}
