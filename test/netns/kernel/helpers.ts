/** What the tests of the kernel layer have in common. They run in a network namespace of their own. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { type KernelErrorCode, isKernelError } from '../../../src/kernel/errors.ts';
import { openKernelIo } from '../../../src/kernel/koffi-io.ts';
import { NftBatch } from '../../../src/kernel/nftables/batch.ts';
import { NftSocket } from '../../../src/kernel/nftables/socket.ts';

/** Runs a shell command; throws with what it printed when it fails. */
export function shell(command: string, input?: string): string {
  const options = { encoding: 'utf8', maxBuffer: 256 << 20, input: input ?? '' } as const;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], options);
  assert.equal(status, 0, `${command}\n${stdout}\n${stderr}`);
  return stdout;
}

/** The ruleset as nft lists it. */
export function listRuleset(): string {
  return execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8', maxBuffer: 256 << 20 });
}

export function flushRuleset(): void {
  execFileSync('nft', ['flush', 'ruleset']);
}

/** Loads a ruleset from text with `nft -f -`. */
export function loadRuleset(text: string): void {
  shell('nft -f -', text);
}

/** Makes a test of a function that needs an open socket. */
export function withNft(
  run: (socket: NftSocket, context: TestContext) => void,
): (context: TestContext) => void {
  return (context) => {
    const socket = NftSocket.open(openKernelIo());
    try {
      run(socket, context);
    } finally {
      socket.close();
    }
  };
}

/** Commits what `fill` puts into a batch. */
export function commit(socket: NftSocket, fill: (batch: NftBatch) => void): void {
  const batch = new NftBatch();
  fill(batch);
  socket.commit(batch);
}

/** For assert.throws and assert.rejects: an error of this code whose message matches. */
export function kernelError(code: KernelErrorCode, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isKernelError(error, code), `not ${code}: ${String(error)}`);
    assert.match(error.message, pattern);
    return true;
  };
}

/** True unless the process is only root of a user namespace, where socket buffers cannot be forced. */
export const isFullRoot = /^\s*0\s+0\s+4294967295\s*$/.test(shell('cat /proc/self/uid_map'));
