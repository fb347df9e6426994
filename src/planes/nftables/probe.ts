/** What the nftables plane needs of this node, tried out on the kernel itself. */
import { KernelError } from '../../kernel/errors.ts';
import type { KernelIo } from '../../kernel/io.ts';
import { NftBatch } from '../../kernel/nftables/batch.ts';
import type { Expression } from '../../kernel/nftables/expressions.ts';
import { NftSocket } from '../../kernel/nftables/socket.ts';
import type { Capability } from '../plane.ts';

/** Never committed to stay: added and deleted in one transaction. */
const PROBE_TABLE = 'switchyard-probe';

/** Expressions that a kernel can be built without, and the option that brings them. */
const FEATURES: readonly { name: string; option: string; expressions: readonly Expression[] }[] = [
  {
    name: 'random numbers',
    option: 'CONFIG_NFT_NUMGEN',
    expressions: [{ kind: 'numgen', to: 0, modulus: 2 }],
  },
  {
    name: 'connection tracking',
    option: 'CONFIG_NFT_CT',
    expressions: [{ kind: 'ct', key: 'status', direction: undefined, to: 0 }],
  },
  {
    name: 'address types',
    option: 'CONFIG_NFT_FIB_IPV4',
    expressions: [{ kind: 'fibType', of: 'saddr', to: 0 }],
  },
  {
    name: 'masquerading',
    option: 'CONFIG_NFT_MASQ',
    expressions: [{ kind: 'masquerade', fullyRandom: true }],
  },
  {
    name: 'destination translation',
    option: 'CONFIG_NFT_NAT',
    expressions: [
      { kind: 'immediate', to: 0, value: new Uint8Array(4) },
      { kind: 'immediate', to: 1, value: new Uint8Array(2) },
      { kind: 'dnat', family: 'IPv4', address: 0, port: 1 },
    ],
  },
  {
    name: 'refusing',
    option: 'CONFIG_NFT_REJECT_IPV4',
    expressions: [{ kind: 'reject', with: 'port-unreachable' }],
  },
];

/** Tests rights and features; opens and closes its own socket. */
export function probeNftables(io: KernelIo): readonly Capability[] {
  let socket: NftSocket;
  try {
    socket = NftSocket.open(io);
  } catch (error) {
    return [failed('nf_tables', error)];
  }
  try {
    const tables = attempt('nf_tables', 'CONFIG_NF_TABLES', () => {
      tryRule(socket, []);
    });
    // Without tables nothing else can be tried.
    if (!tables.ok) return [tables];
    return [
      tables,
      ...FEATURES.map(({ name, option, expressions }) =>
        attempt(name, option, () => {
          tryRule(socket, expressions);
        }),
      ),
    ];
  } finally {
    socket.close();
  }
}

function tryRule(socket: NftSocket, expressions: readonly Expression[]): void {
  const batch = new NftBatch();
  batch.addTable('IPv4', PROBE_TABLE);
  batch.addChain('IPv4', PROBE_TABLE, { name: 'probe' });
  batch.addRule('IPv4', PROBE_TABLE, 'probe', expressions);
  batch.deleteTable('IPv4', PROBE_TABLE);
  socket.commit(batch);
}

function attempt(name: string, detail: string, run: () => unknown): Capability {
  try {
    run();
    return { name, ok: true, detail };
  } catch (error) {
    return failed(`${name} (${detail})`, error);
  }
}

function failed(name: string, error: unknown): Capability {
  if (!(error instanceof KernelError)) throw error;
  return { name, ok: false, detail: error.message };
}
