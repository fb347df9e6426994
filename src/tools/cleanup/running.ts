/** Whether a proxy still runs: what is removed under it would come back, or be missing. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ToolError } from '../errors.ts';
import type { Owner } from './leftovers.ts';

/** A process of an owner in this network namespace. */
export interface RunningProxy {
  readonly pid: number;
  /** Its command line, cut. */
  readonly command: string;
  /** What stops it, to type. */
  readonly stop: string;
}

/** Characters of a command line that are told. */
const LONGEST_COMMAND = 120;
/** Options with which the process does one thing and ends. */
const ONE_SHOT = /^--(?:cleanup|version|help|init-only|write-config-to)(?:=|$)/;

/**
 * Processes of an owner in our network namespace, but for this one. Only those of our PID namespace are seen: in a
 * container, that of the host is needed (`hostPID`).
 * @param proc Where procfs is.
 */
export function findRunning(owner: Owner, proc = '/proc'): readonly RunningProxy[] {
  const own = tryTo(() => readlinkSync(join(proc, 'self/ns/net')));
  const found: RunningProxy[] = [];
  for (const entry of readdirSync(proc)) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const folder = join(proc, entry);
    const words = tryTo(() => readFileSync(join(folder, 'cmdline'), 'utf8'))?.split('\0') ?? [];
    if (ownerOf(words) !== owner) continue;
    if (tryTo(() => readlinkSync(join(folder, 'ns/net'))) !== own) continue;
    const command = words.join(' ').trim().slice(0, LONGEST_COMMAND);
    const group = tryTo(() => readFileSync(join(folder, 'cgroup'), 'utf8')) ?? '';
    found.push({ pid, command, stop: stopCommand(owner, pid, group) });
  }
  return found;
}

/** @throws ToolError `SY_OWNER_RUNNING`, with the commands that stop it. */
export function refuseWhileRunning(owner: Owner, proc?: string): void {
  const running = findRunning(owner, proc);
  if (running.length === 0) return;
  const processes = running.map(({ pid, command }) => `process ${pid} (${command})`).join(', ');
  const stops = [...new Set(running.map(({ stop }) => stop))].join('; ');
  throw new ToolError(
    'SY_OWNER_RUNNING',
    `${owner} still runs on this node, as ${processes}: it needs what would be removed, or would write it again. ` +
      `Stop it first: ${stops}`,
  );
}

/** Whose process a command line is. */
function ownerOf(words: readonly string[]): Owner | undefined {
  const [program = '', ...rest] = words;
  if (rest.some((word) => ONE_SHOT.test(word))) return undefined;
  const name = basename(program);
  if (name === 'kube-proxy') return 'kube-proxy';
  if (name === 'hyperkube') {
    return ['kube-proxy', 'proxy'].includes(rest[0] ?? '') ? 'kube-proxy' : undefined;
  }
  // Ours is a script: `node /usr/local/bin/switchyard proxy …`, or under kube-proxy's name, as in an image.
  if (!/^node(?:js)?$/.test(name)) return undefined;
  const at = rest.findIndex((word) => !word.startsWith('-'));
  const script = rest[at] ?? '';
  if (basename(script) === 'kube-proxy') return 'switchyard';
  const isOurs =
    /^switchyard(?:\.js)?$/.test(basename(script)) || /(?:^|\/)src\/cli\/main\.ts$/.test(script);
  return isOurs && rest[at + 1] === 'proxy' ? 'switchyard' : undefined;
}

function stopCommand(owner: Owner, pid: number, group: string): string {
  if (group.includes('kubepods')) {
    return owner === 'kube-proxy'
      ? 'take its pod from this node: kubectl -n kube-system patch daemonset kube-proxy --patch ' +
          `'{"spec":{"template":{"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":` +
          `{"nodeSelectorTerms":[{"matchExpressions":[{"key":"switchyard.dev/proxy","operator":"DoesNotExist"}]}]}}}}}}}' ` +
          '&& kubectl label node NODE switchyard.dev/proxy=true'
      : 'take its pod from this node: kubectl label node NODE switchyard.dev/proxy- (deploy/one-node), or ' +
          'kubectl delete -k deploy/base';
  }
  const [, unit] = /\/([^/\n]+\.service)(?:\/|$)/m.exec(group) ?? [];
  const isOwnUnit = unit !== undefined && /proxy|switchyard/.test(unit);
  return isOwnUnit ? `systemctl disable --now ${unit}` : `kill ${pid}`;
}

/** `undefined` for what is not there any more, or not for us. */
function tryTo<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
