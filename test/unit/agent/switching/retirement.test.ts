import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Retirement } from '../../../../src/agent/switching/retirement.ts';
import { KernelError, type KernelErrorCode } from '../../../../src/kernel/errors.ts';
import { FakeClock, FakePlane } from '../fakes.ts';

/** A plane whose removal fails as long as there is an error. */
class Scene {
  readonly clock = new FakeClock();
  readonly told: string[] = [];
  error: KernelErrorCode | undefined;
  tries = 0;

  begin(): Promise<boolean> {
    const plane = new FakePlane();
    plane.remove = async () => {
      this.tries++;
      if (this.error !== undefined) throw new KernelError('removing it', { code: this.error });
      return Promise.resolve(true);
    };
    const options = { families: ['IPv4'], limitMs: Infinity } as const;
    const retirement = new Retirement(
      { mode: 'iptables', variant: 'nft', open: () => plane },
      options,
      this.clock,
      {
        onLeft: () => this.told.push('left'),
        onGone: () => this.told.push('gone'),
        onTrouble: () => this.told.push('trouble'),
      },
    );
    return retirement.begin();
  }
}

test('a removal that fails is tried again until it works, and told once', async () => {
  const scene = new Scene();
  scene.error = 'SY_KERNEL_CALL';
  assert.equal(await scene.begin(), false);
  await scene.clock.pass(30_000);
  assert.deepEqual(scene.told, ['trouble']);
  scene.error = undefined;
  await scene.clock.pass(10_000);
  assert.deepEqual(scene.told, ['trouble', 'gone']);
});

test('a mode whose tools this machine lacks has left nothing, and is not tried again', async () => {
  const scene = new Scene();
  scene.error = 'SY_KERNEL_UNSUPPORTED';
  assert.equal(await scene.begin(), false);
  await scene.clock.pass(60_000);
  assert.deepEqual([scene.told, scene.tries], [['gone'], 1]);
});
