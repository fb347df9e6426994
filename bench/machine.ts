/** What a reader must know of the machine. No names: results are published. */
import { execFileSync } from 'node:child_process';
import { arch, cpus, release, totalmem } from 'node:os';
import { NODE_FLAGS } from './network.ts';
import type { Machine } from './results.ts';

export function describeMachine(): Machine {
  const [processor] = cpus();
  return {
    // Without the part that vendors and builders add.
    kernel: /^\d+\.\d+(?:\.\d+)?/.exec(release())?.[0] ?? release(),
    architecture: arch(),
    processors: cpus().length,
    processor: processor?.model.trim() ?? 'unknown',
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    nodeFlags: NODE_FLAGS.join(' '),
    nft: nftVersion(),
  };
}

function nftVersion(): string | undefined {
  try {
    const text = execFileSync('nft', ['--version'], { encoding: 'utf8' });
    return /v(\d[\d.]*)/.exec(text)?.[1];
  } catch {
    return undefined;
  }
}
