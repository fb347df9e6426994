/**
 * The few system calls this project makes itself. Everything that talks to the kernel goes through this
 * interface, so that codecs and sockets can be tested against a scripted kernel and native code stays in
 * one file (koffi-io.ts).
 *
 * Every call returns what the system call returned, or the negative error number when it failed.
 * Lengths are always those of the byte arrays given.
 */
export interface KernelIo {
  /** socket(2). Returns a descriptor. */
  socket(domain: number, type: number, protocol: number): number;
  /** bind(2) to a socket address. */
  bind(fd: number, address: Uint8Array): number;
  /** setsockopt(2). */
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  /** getsockopt(2) of an option whose value is an `int`; the value must not be negative. */
  getsockopt(fd: number, level: number, option: number): number;
  /** send(2) without flags. Blocks until the kernel has taken the bytes. */
  send(fd: number, bytes: Uint8Array): number;
  /** recv(2) into the whole of `into`. */
  recv(fd: number, into: Uint8Array, flags: number): number;
  /**
   * write(2) on another thread, for requests the kernel answers slowly. `bytes` must not change meanwhile.
   */
  writeAsync(fd: number, bytes: Uint8Array): Promise<number>;
  /**
   * read(2) on another thread. Neither `into` nor the descriptor may be touched before it settles.
   *
   * A process cannot exit while such a read blocks: sockets read this way must have SO_RCVTIMEO set.
   */
  readAsync(fd: number, into: Uint8Array): Promise<number>;
  /** close(2). */
  close(fd: number): number;
}
