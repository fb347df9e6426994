/** Echo servers of a lab host. Each is bound to one address, so that answers leave from the address asked. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Greeting, L4, ListenParams } from './calls.ts';

interface Listener {
  readonly close: () => Promise<void>;
}

/** The address as people write it: IPv4 seen by an IPv6 socket loses its prefix. */
function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '');
}

async function listenTcp(server: string, address: string, port: number): Promise<Listener> {
  const open = new Set<Socket>();
  const listener: Server = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    // Clients reset their connections; that is how a probe ends.
    socket.on('error', () => socket.destroy());
    const greeting: Greeting = {
      server,
      peer: plainAddress(socket.remoteAddress),
      peerPort: socket.remotePort ?? 0,
      local: plainAddress(socket.localAddress),
      localPort: port,
    };
    socket.write(`${JSON.stringify(greeting)}\n`);
    socket.pipe(socket);
  });
  listener.listen({ host: address, port, backlog: 1024 });
  await once(listener, 'listening');
  return {
    close: async () => {
      for (const socket of open) socket.resetAndDestroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

async function listenUdp(server: string, address: string, port: number): Promise<Listener> {
  const socket: UdpSocket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('message', (_, from) => {
    const greeting: Greeting = {
      server,
      peer: from.address,
      peerPort: from.port,
      local: address,
      localPort: port,
    };
    socket.send(JSON.stringify(greeting), from.port, from.address);
  });
  // An answer to a client that has gone comes back as an ICMP error.
  socket.on('error', () => undefined);
  socket.bind(port, address);
  await once(socket, 'listening');
  return {
    close: async () => {
      socket.close();
      await once(socket, 'close');
    },
  };
}

/** The listeners of one host, by protocol, address and port. */
export class EchoServers {
  readonly #listeners = new Map<string, Listener>();

  /** Listens on every address and port named; rejects when one is taken. */
  async listen({ server, protocol, addresses, ports }: ListenParams): Promise<void> {
    const start = protocol === 'TCP' ? listenTcp : listenUdp;
    await eachPair(addresses, ports, async (address, port) => {
      this.#listeners.set(listenerKey(protocol, address, port), await start(server, address, port));
    });
  }

  /** Stops listening and cuts what was connected. */
  async unlisten({ protocol, addresses, ports }: Omit<ListenParams, 'server'>): Promise<void> {
    await eachPair(addresses, ports, async (address, port) => {
      const key = listenerKey(protocol, address, port);
      const listener = this.#listeners.get(key);
      if (listener === undefined) throw new Error(`nothing listens on ${key}`);
      this.#listeners.delete(key);
      await listener.close();
    });
  }
}

function listenerKey(protocol: L4, address: string, port: number): string {
  return `${protocol} ${address} ${port}`;
}

async function eachPair(
  addresses: readonly string[],
  ports: readonly number[],
  act: (address: string, port: number) => Promise<void>,
): Promise<void> {
  await Promise.all(addresses.flatMap((address) => ports.map((port) => act(address, port))));
}
