/**
 * What it takes to time connect(2) itself, beside {@link KernelIo}: Node.js connects on its event loop, and what that adds is
 * several times what the kernel needs.
 *
 * Every call returns what the system call returned, or the negative error number when it failed.
 */
export interface TcpIo {
  /** connect(2) to a socket address. Blocks until there is a connection, or for as long as SO_SNDTIMEO says. */
  connect(fd: number, address: Uint8Array): number;
  /** listen(2). */
  listen(fd: number, backlog: number): number;
  /** accept(2), without asking who it is. Returns a descriptor. Blocks, or for as long as SO_RCVTIMEO says. */
  accept(fd: number): number;
  /** setns(2) of this thread into the network namespace that a descriptor of its file stands for. */
  enterNetwork(fd: number): number;
}
