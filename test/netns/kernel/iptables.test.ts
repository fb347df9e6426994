/** iptables-restore as a coprocess, with the real tools: both variants, both families. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, test } from 'node:test';
import type { Family } from '../../../src/core/ip.ts';
import { isKernelError } from '../../../src/kernel/errors.ts';
import { type Iptables, openIptables } from '../../../src/kernel/iptables/iptables.ts';
import { RestoreError } from '../../../src/kernel/iptables/restore-error.ts';
import type { Variant } from '../../../src/kernel/iptables/variant.ts';
import { inNamespace } from '../../lab/in-namespace.ts';
import { shell } from './helpers.ts';
import { childrenNamed, holdLock, killChildren, useOwnLock } from './xtables.ts';

const VARIANTS = ['nft', 'legacy'] as const satisfies readonly Variant[];
const FAMILIES = ['IPv4', 'IPv6'] as const satisfies readonly Family[];
/** As long as an operator's script that keeps the lock by mistake. */
const LOCK_HELD_MS = 20_000;
/** Rules of some megabytes: many times what a pipe holds. */
const MANY = 20_000;

/** Why a variant cannot be tried here, or `false`. */
function reasonToSkip(variant: Variant): string | false {
  const programs = [`iptables-${variant}`, `ip6tables-${variant}`, 'flock'];
  const missing = programs.filter((name) => spawnSync(name, ['--version']).error !== undefined);
  if (missing.length > 0) return `needs ${missing.join(', ')}`;
  const { status } = spawnSync(`iptables-${variant}`, ['-t', 'nat', '-S']);
  return status === 0 ? false : `this kernel takes no rules of iptables-${variant}`;
}

function big(chain: string): readonly string[] {
  const rules = Array.from(
    { length: MANY },
    (_, index) =>
      `-A ${chain} -p tcp --dport ${(index % 60_000) + 1} -m comment --comment "${'words '.repeat(20)}${index}" -j RETURN`,
  );
  return [`:${chain} - [0:0]`, ...rules];
}

const commandOf = (family: Family, variant: Variant): string =>
  `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}`;

function open(variant: Variant, onWait?: (text: string) => void): Iptables & Disposable {
  const iptables = openIptables({ variant, onWait });
  return {
    ...iptables,
    [Symbol.dispose]: () => {
      iptables.close();
    },
  };
}

/** Empties tables of all variants and families. */
function clean(): void {
  for (const command of VARIANTS.flatMap((each) =>
    FAMILIES.map((family) => commandOf(family, each)),
  )) {
    for (const table of ['filter', 'nat', 'mangle']) {
      shell(`${command} -t ${table} -F; ${command} -t ${table} -X`);
    }
  }
}

inNamespace(import.meta.filename, () => {
  const lockFile = useOwnLock();
  const skip = { nft: reasonToSkip('nft'), legacy: reasonToSkip('legacy') };

  for (const variant of VARIANTS) {
    for (const family of FAMILIES) {
      const command = commandOf(family, variant);
      const restoreName = `${command}-restore`;
      const address = family === 'IPv4' ? '10.1.2.3/32' : 'fd00::1/128';

      describe(`${variant} ${family}`, { skip: skip[variant] }, () => {
        test('what is written is in force, and is listed as the tool lists it', async () => {
          using iptables = open(variant);
          await iptables.warm(family);
          const running = childrenNamed(restoreName);
          assert.ok(running.length > 0);
          await iptables.restore(family, [
            {
              table: 'nat',
              lines: [
                ':T-A - [0:0]',
                `-A T-A -d ${address} -m comment --comment "a \\"b\\" c" -j RETURN`,
                '-I PREROUTING 1 -j T-A',
              ],
            },
            { table: 'filter', lines: [':T-B - [0:0]'] },
          ]);
          for (const table of ['nat', 'filter']) {
            const theirs = shell(`${command} -t ${table} -S`).trim().split('\n');
            assert.deepEqual(await iptables.list(family, table), theirs);
            assert.ok(iptables.tables(family).includes(table));
          }
          const chain = await iptables.list(family, 'nat', 'T-A');
          assert.deepEqual(chain, [
            '-N T-A',
            `-A T-A -d ${address} -m comment --comment "a \\"b\\" c" -j RETURN`,
          ]);
          const others = childrenNamed(restoreName).filter((pid) => !running.includes(pid));
          assert.deepEqual(others, [], 'no other process was started');
        });

        test('no batch is no work', async () => {
          using iptables = open(variant);
          await iptables.restore(family, []);
          await iptables.warm(family);
          await iptables.restore(family, []);
        });

        test('calls that overlap are carried out in turn', async () => {
          using iptables = open(variant);
          const calls = Array.from({ length: 20 }, async (_, index) => {
            const rule = `-A T-TURN -p tcp --dport ${index + 1} -j RETURN`;
            const lines = [...(index === 0 ? [':T-TURN - [0:0]'] : []), rule];
            await iptables.restore(family, [{ table: 'filter', lines }]);
            return (await iptables.list(family, 'filter', 'T-TURN')).length;
          });
          await Promise.all(calls);
          const found = await iptables.list(family, 'filter', 'T-TURN');
          const ports = found.flatMap((line) => /--dport (\d+)/.exec(line)?.[1] ?? []);
          assert.deepEqual(
            ports,
            Array.from({ length: 20 }, (_, index) => String(index + 1)),
          );
        });

        test('megabytes in one batch, and listings of them, pass the pipes', async () => {
          using iptables = open(variant);
          const lines = big('T-BIG');
          assert.ok(lines.join('\n').length > 3_000_000);
          const listing = { table: 'filter', lines: ['-S T-BIG', '-S T-BIG'] };
          const writing = { table: 'filter', lines };
          await iptables.restore(family, [writing, listing, writing, listing]);
          assert.equal((await iptables.list(family, 'filter', 'T-BIG')).length, MANY + 1);
          await iptables.restore(family, [{ table: 'filter', lines: ['-F T-BIG', '-X T-BIG'] }]);
        });

        test('a process that is killed while it works is replaced, and nothing is lost', async () => {
          using iptables = open(variant);
          await iptables.restore(family, [{ table: 'filter', lines: [':T-FIRST - [0:0]'] }]);
          const written = iptables.restore(family, [
            { table: 'filter', lines: big('T-BIG') },
            { table: 'nat', lines: [':T-NEXT - [0:0]'] },
          ]);
          await new Promise(setImmediate);
          assert.ok(killChildren(restoreName).length > 0);
          await written;
          assert.equal((await iptables.list(family, 'filter', 'T-BIG')).length, MANY + 1);
          assert.deepEqual(await iptables.list(family, 'nat', 'T-NEXT'), ['-N T-NEXT']);
          await iptables.restore(family, [{ table: 'filter', lines: ['-F T-BIG', '-X T-BIG'] }]);
        });

        test('a process that is killed while it is idle is replaced', async () => {
          using iptables = open(variant);
          await iptables.warm(family);
          assert.ok(killChildren(restoreName).length > 0);
          await iptables.restore(family, [{ table: 'filter', lines: [':T-AGAIN - [0:0]'] }]);
          assert.deepEqual(await iptables.list(family, 'filter', 'T-AGAIN'), ['-N T-AGAIN']);
        });

        test('a line that is refused is shown, and it is told what is in force', async () => {
          using iptables = open(variant);
          // So that the tool counts from before.
          await iptables.restore(family, [{ table: 'filter', lines: [':T-OLD - [0:0]'] }]);
          const before = { table: 'filter', lines: [':T-BEFORE - [0:0]'] };
          const bad = {
            table: 'nat',
            lines: [
              ':T-BAD - [0:0]',
              ...[1, 2, 3, 4, 5].map((port) => `-A T-BAD -p tcp --dport ${port} -j RETURN`),
              '-A T-BAD -m nosuchmatch -j RETURN',
              ...[6, 7, 8, 9].map((port) => `-A T-BAD -p tcp --dport ${port} -j RETURN`),
            ],
          };
          const last = { table: 'filter', lines: [':T-LAST - [0:0]'] };
          const failed = iptables.restore(family, [before, before, bad, last]);
          const next = iptables.restore(family, [{ table: 'filter', lines: [':T-OTHER - [0:0]'] }]);
          await assert.rejects(failed, (error) => {
            assert.ok(error instanceof RestoreError);
            assert.equal(error.code, 'SY_KERNEL_CALL');
            assert.equal(error.applied, 2);
            assert.match(error.message, /table nat .*line 8 of 13: .*nosuchmatch/);
            const shown = error.message.split('\n').slice(1);
            assert.deepEqual(shown, [
              '  -A T-BAD -p tcp --dport 3 -j RETURN',
              '  -A T-BAD -p tcp --dport 4 -j RETURN',
              '  -A T-BAD -p tcp --dport 5 -j RETURN',
              '> -A T-BAD -m nosuchmatch -j RETURN',
              '  -A T-BAD -p tcp --dport 6 -j RETURN',
              '  -A T-BAD -p tcp --dport 7 -j RETURN',
              '  -A T-BAD -p tcp --dport 8 -j RETURN',
            ]);
            return true;
          });
          await next;
          const filter = await iptables.list(family, 'filter');
          assert.ok(filter.includes('-N T-BEFORE'));
          assert.ok(filter.includes('-N T-OTHER'));
          assert.ok(!filter.includes('-N T-LAST'));
          assert.ok(!(await iptables.list(family, 'nat')).includes('-N T-BAD'));
        });

        test('what only shows when the table is committed is told as well', async () => {
          using iptables = open(variant);
          const lines = [':T-USED - [0:0]', '-A OUTPUT -j T-USED', '-F T-USED', '-X T-USED'];
          await assert.rejects(
            iptables.restore(family, [{ table: 'filter', lines }]),
            /table filter .*line 5 of 6[^]*\n> -X T-USED\n {2}COMMIT$/,
          );
          assert.ok(
            !(await iptables.list(family, 'filter', 'OUTPUT')).some((line) => /USED/.test(line)),
          );
        });

        test('a chain that is not there is an error, and the next call works', async () => {
          using iptables = open(variant);
          await assert.rejects(iptables.list(family, 'nat', 'T-NOWHERE'), RestoreError);
          assert.ok((await iptables.list(family, 'nat', 'OUTPUT')).length > 0);
        });

        test('closing rejects what is under way and ends the process', async () => {
          using iptables = open(variant);
          await iptables.warm(family);
          const calls = [1, 2].map(async () =>
            iptables.restore(family, [{ table: 'filter', lines: big('T-CLOSED') }]),
          );
          await new Promise(setImmediate);
          iptables.close();
          for (const result of await Promise.allSettled(calls)) {
            assert.equal(result.status, 'rejected');
            assert.ok(isKernelError(result.reason, 'SY_KERNEL_CLOSED'), String(result.reason));
          }
          while (childrenNamed(restoreName).length > 0) await setTimeout(10);
        });
      });
    }
  }

  describe('legacy', { skip: skip.legacy }, () => {
    test('waits for a lock that somebody holds for 20 s, says who, and loses nothing', async () => {
      const waits: string[] = [];
      using iptables = open('legacy', (text) => waits.push(text));
      await iptables.restore('IPv4', [{ table: 'filter', lines: [':T-LOCK - [0:0]'] }]);
      const holder = await holdLock(lockFile);
      const started = performance.now();
      let ticks = 0;
      const ticking = setInterval(() => (ticks += 1), 100);
      void setTimeout(LOCK_HELD_MS).then(() => holder.kill());
      const rule = '-A T-LOCK -p tcp -j RETURN';
      const first = iptables.restore('IPv4', [{ table: 'filter', lines: [rule] }]);
      const second = iptables.restore('IPv4', [{ table: 'nat', lines: [':T-LOCK - [0:0]'] }]);
      await Promise.all([first, second]);
      clearInterval(ticking);
      assert.ok(performance.now() - started >= LOCK_HELD_MS - 100);
      assert.ok(ticks > LOCK_HELD_MS / 200, 'the event loop went on');
      assert.deepEqual(await iptables.list('IPv4', 'filter', 'T-LOCK'), ['-N T-LOCK', rule]);
      assert.ok((await iptables.list('IPv4', 'nat')).includes('-N T-LOCK'));
      assert.equal(waits.length, 1);
      assert.match(waits[0] ?? '', new RegExp(`process ${holder.pid} \\(sleep\\) holds`));
    });

    test('killed each time it is started, it gives up, and the next call works', async () => {
      using iptables = open('legacy');
      await iptables.warm('IPv4');
      const holder = await holdLock(lockFile);
      const killing = setInterval(() => killChildren('iptables-legacy-restore'), 20);
      const failed = iptables.restore('IPv4', [{ table: 'filter', lines: [':T-END - [0:0]'] }]);
      await assert.rejects(failed, (error) => {
        assert.ok(isKernelError(error, 'SY_KERNEL_CALL'));
        assert.match(error.message, /ended with SIGKILL, 3 times in a row/);
        return true;
      });
      clearInterval(killing);
      holder.kill();
      await iptables.restore('IPv4', [{ table: 'filter', lines: [':T-END - [0:0]'] }]);
      assert.ok((await iptables.list('IPv4', 'filter')).includes('-N T-END'));
    });
  });

  describe('the choice of the variant', { skip: skip.nft || skip.legacy }, () => {
    test('follows the rules that are there, and tells when both have some', () => {
      clean();
      shell('iptables-legacy -A INPUT -j ACCEPT; iptables-legacy -A INPUT -j ACCEPT');
      const alone = openIptables().tools;
      assert.equal(alone.variant, 'legacy');
      assert.match(alone.reason, /most rules/);
      assert.doesNotMatch(alone.reason, /both/);
      shell('iptables-nft -A INPUT -j ACCEPT');
      const mixed = openIptables().tools;
      assert.equal(mixed.variant, 'legacy');
      assert.match(mixed.reason, /both variants are in force \(nft: 1, legacy: 2\)/);
    });

    test('follows the kubelet, and a configured variant before all', () => {
      clean();
      shell('iptables-legacy -A INPUT -j ACCEPT; iptables-nft -t mangle -N KUBE-IPTABLES-HINT');
      const { variant, reason } = openIptables().tools;
      assert.equal(variant, 'nft');
      assert.match(reason, /kubelet/);
      assert.equal(openIptables({ variant: 'legacy' }).tools.variant, 'legacy');
    });

    test('a program that is missing is named', () => {
      const path = process.env['PATH'];
      process.env['PATH'] = import.meta.dirname;
      try {
        assert.throws(
          () => openIptables({ variant: 'legacy' }),
          (error) =>
            isKernelError(error, 'SY_KERNEL_UNSUPPORTED') &&
            /iptables-legacy: .*not there/.test(error.message),
        );
      } finally {
        process.env['PATH'] = path;
      }
    });

    test('a program that is too old to answer while it runs is refused', () => {
      const folder = mkdtempSync(join(tmpdir(), 'switchyard-iptables-'));
      const path = process.env['PATH'];
      process.env['PATH'] = folder;
      try {
        const script = '#!/bin/sh\necho "iptables v1.8.4 (nf_tables)"\n';
        writeFileSync(join(folder, 'iptables-nft'), script, { mode: 0o755 });
        assert.throws(
          () => openIptables(),
          (error) =>
            isKernelError(error, 'SY_KERNEL_UNSUPPORTED') &&
            /v1\.8\.4 .*Install iptables 1\.8\.5 or later/.test(error.message),
        );
      } finally {
        process.env['PATH'] = path;
        rmSync(folder, { recursive: true });
      }
    });

    test('a program that vanished is told by the first call', async () => {
      const iptables = openIptables({ variant: 'nft' });
      const path = process.env['PATH'];
      process.env['PATH'] = import.meta.dirname;
      try {
        await assert.rejects(iptables.warm('IPv4'), (error) =>
          isKernelError(error, 'SY_KERNEL_UNSUPPORTED'),
        );
      } finally {
        process.env['PATH'] = path;
      }
      await iptables.warm('IPv4');
      iptables.close();
    });
  });

  test('an idle process does not keep its parent alive', { skip: skip.nft }, () => {
    const module = join(import.meta.dirname, '../../../src/kernel/iptables/iptables.ts');
    const program = `import { openIptables } from '${module}';
      const iptables = openIptables({ variant: 'nft' });
      await iptables.warm('IPv4');
      console.log((await iptables.list('IPv4', 'nat', 'OUTPUT')).length > 0);`;
    const output = execFileSync(
      process.execPath,
      ['--input-type=module-typescript', '--eval', program],
      { encoding: 'utf8', timeout: 10_000 },
    );
    assert.equal(output, 'true\n');
  });

  test('without a file left to start it with, the call is refused, and this process lives on', () => {
    const module = join(import.meta.dirname, '../../../src/kernel/iptables/restore-process.ts');
    const program = `import { closeSync, openSync } from 'node:fs';
      import { RestoreProcess } from '${module}';
      const files = [];
      try { for (;;) files.push(openSync('/dev/null')); } catch {}
      const starved = new RestoreProcess('cat');
      const calling = starved.carryOut([{ text: '', lines: 0 }]);
      const { code, message } = await calling.catch((error) => error);
      console.log(code, message, starved.hasEnded);
      starved.close();
      for (const file of files) closeSync(file);`;
    const limited = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath];
    const output = execFileSync(
      'sh',
      [...limited, '--input-type=module-typescript', '--eval', program],
      { encoding: 'utf8', timeout: 10_000 },
    );
    assert.equal(output, 'SY_KERNEL_CALL starting cat: spawn cat EMFILE true\n');
  });
});
