/** The connection table, as the kernel tells it and damaged. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type KernelErrorCode, isKernelError } from '../../../../src/kernel/errors.ts';
import {
  type IpvsConnection,
  parseConnection,
  readConnections,
} from '../../../../src/kernel/ipvs/connections.ts';

const FIXTURE = join(import.meta.dirname, '../../../fixtures/netlink/ip_vs_conn.txt');
const HEADER = 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n';

async function all(file: string): Promise<IpvsConnection[]> {
  const found: IpvsConnection[] = [];
  for await (const connection of readConnections(file)) found.push(connection);
  return found;
}

function line(port: number): string {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return `TCP 0A000001 ${hex} 0A600001 0050 0A800001 1F90 ESTABLISHED     899\n`;
}

/** Runs with a file of this text. */
async function withFile(text: string, run: (file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-connections-'));
  try {
    const file = join(folder, 'ip_vs_conn');
    writeFileSync(file, text);
    await run(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function code(expected: KernelErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isKernelError(error, expected), String(error));
    return true;
  };
}

describe('Connections', () => {
  test('are read in both families, templates told apart', async () => {
    const found = (await all(FIXTURE)).toSorted((one, other) => one.clientPort - other.clientPort);
    const v4 = { protocol: 'UDP', virtual: '10.96.0.4', virtualPort: 53, real: '127.0.0.1' };
    const [template, ...connections] = found;
    assert.deepEqual(template, {
      ...v4,
      client: '10.96.0.4',
      clientPort: 0,
      realPort: 5353,
      state: 'NONE',
      isTemplate: true,
      expiresSeconds: template?.expiresSeconds,
      engine: '',
    });
    assert.equal(connections.length, 2);
    const v6 = connections.find(({ client }) => client === 'fd96::4');
    assert.equal(v6?.virtual, 'fd96::4');
    assert.equal(v6.real, '::1');
    assert.equal(v6.state, 'UDP');
    assert.ok(connections.every(({ isTemplate, clientPort }) => !isTemplate && clientPort > 0));
    assert.ok(found.every(({ expiresSeconds }) => expiresSeconds > 200 && expiresSeconds <= 600));
  });

  test('come whole, however many there are', async () => {
    const count = 5000;
    const text = Array.from({ length: count }, (_, index) => line(index + 1)).join('');
    await withFile(HEADER + text, async (file) => {
      const ports = (await all(file)).map(({ clientPort }) => clientPort);
      assert.deepEqual(
        ports,
        Array.from({ length: count }, (_, index) => index + 1),
      );
    });
  });

  test('need not be read to the end', async () => {
    await withFile(HEADER + line(1) + line(2), async (file) => {
      for await (const { clientPort } of readConnections(file)) {
        assert.equal(clientPort, 1);
        break;
      }
    });
  });

  test('of an empty table are none', async () => {
    await withFile(HEADER, async (file) => {
      assert.deepEqual(await all(file), []);
    });
  });

  test('of a persistence engine carry its words', () => {
    const { engine } = parseConnection(
      'UDP 0A000001 0000 0A600003 13C4 0A800001 13C4 NONE             59 sip call@host',
    );
    assert.equal(engine, 'sip call@host');
  });

  test('without a client port are no templates unless their state says so', () => {
    const ftp = 'TCP 0A000001 0000 0A600001 0014 0A800001 0014 SYN_RECV     59';
    assert.equal(parseConnection(ftp).isTemplate, false);
  });
});

describe('What cannot be read', () => {
  test('is UNSUPPORTED where the kernel has no IPVS, with the module to load', async () => {
    await assert.rejects(all('/nonexistent/ip_vs_conn'), (error) => {
      assert.ok(isKernelError(error, 'SY_KERNEL_UNSUPPORTED'), String(error));
      assert.match(error.message, /^opening \/nonexistent\/ip_vs_conn: .*modprobe ip_vs/);
      return true;
    });
  });

  const damaged = [
    '',
    'TCP',
    'TCP 0A000001 0001 0A600001 0050 0A800001 1F90 ESTABLISHED',
    'TCP 0A000001 0001 0A600001 0050 0A800001 1F90 ESTABLISHED soon',
    'TCP 0A0000 0001 0A600001 0050 0A800001 1F90 ESTABLISHED 899',
    'TCP 0A000001 port 0A600001 0050 0A800001 1F90 ESTABLISHED 899',
    'TCP 0A00000g 0001 0A600001 0050 0A800001 1F90 ESTABLISHED 899',
  ];
  for (const text of damaged) {
    test(`is MALFORMED: "${text}"`, () => {
      assert.throws(() => parseConnection(text), code('SY_KERNEL_MALFORMED'));
    });
  }

  test('is MALFORMED when it ends within a line', async () => {
    await withFile(HEADER + line(1).slice(0, 30), async (file) => {
      await assert.rejects(all(file), code('SY_KERNEL_MALFORMED'));
    });
  });
});
