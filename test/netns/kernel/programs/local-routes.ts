/** Prints the local routes of `lo`, in a network namespace in which no link was ever up. */
import { openKernelIo } from '../../../../src/kernel/koffi-io.ts';
import { LinkSocket } from '../../../../src/kernel/rtnetlink/links.ts';

using socket = LinkSocket.open(openKernelIo());
const lo = socket.link('lo');
process.stdout.write(JSON.stringify(lo && socket.localRoutes(lo)));
