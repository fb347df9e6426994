/** Run without CAP_NET_ADMIN: tries everything and prints the code and message of each failure as JSON. */
import { Conntrack } from '../../../../src/kernel/conntrack/conntrack.ts';
import { KernelError } from '../../../../src/kernel/errors.ts';
import { openKernelIo } from '../../../../src/kernel/koffi-io.ts';
import { NftBatch } from '../../../../src/kernel/nftables/batch.ts';
import { NftSocket } from '../../../../src/kernel/nftables/socket.ts';
import { RouteSocket } from '../../../../src/kernel/rtnetlink/socket.ts';

const io = openKernelIo();
const results: Record<string, string> = {};

async function attempt(name: string, work: () => unknown): Promise<void> {
  try {
    await work();
    results[name] = 'done';
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    results[name] = `${error.code} ${error.message}`;
  }
}

const nft = NftSocket.open(io);
const conntrack = Conntrack.open(io);
const route = RouteSocket.open(io);
const batch = new NftBatch();
batch.addTable('IPv4', 't');
await attempt('generation', () => nft.generation());
await attempt('commit', () => {
  nft.commit(batch);
});
await attempt('tables', () => nft.tables('IPv4'));
await attempt('conntrack', () => conntrack.listUdp('IPv4'));
await attempt('addresses', () => route.listAddresses());
process.stdout.write(JSON.stringify(results));
