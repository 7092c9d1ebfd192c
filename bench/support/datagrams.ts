/**
 * Connected UDP sockets that send and receive many datagrams with one system call each (sendmmsg, recvmmsg): a load
 * made of single calls would need more CPU than what it measures. Blocking, IPv4, 64-bit Linux; for processes that do
 * nothing else.
 * Invariant: the kernel is told addresses of buffers that live as long as the socket.
 */
import koffi from 'koffi';
import { ipBytes } from '../../src/net/address.js';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
const EAGAIN = 11;
/**
 * struct mmsghdr: { msghdr: name, namelen, iov at 16, iovlen at 24, control, controllen, flags; len at 56 }, 64 bytes.
 * struct iovec: { base, len }.
 */
const MESSAGE_BYTES = 64;
const IOV_AT = 16;
const IOV_COUNT_AT = 24;
const LENGTH_AT = 56;
const IOVEC_BYTES = 16;
const SOCKADDR_BYTES = 16;
const POLLFD_BYTES = 8;

const libc = koffi.load(null);
const calls = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  connect: libc.func('int connect(int fd, const void *address, unsigned int length)'),
  sendmmsg: libc.func('int sendmmsg(int fd, void *messages, unsigned int count, int flags)'),
  recvmmsg: libc.func('int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)'),
  poll: libc.func('int poll(void *fds, unsigned long count, int timeout)'),
  close: libc.func('int close(int fd)'),
};

function checked(result: number, name: string): number {
  if (result >= 0) return result;
  throw new Error(`${name}: errno ${koffi.errno()}`);
}

/** Room for `count` datagrams of up to `size` bytes, laid out as the kernel wants to see it. */
export class Datagrams {
  readonly messages: Buffer;
  /** Datagram i begins at i × size. */
  readonly bytes: Buffer;
  readonly #vectors: Buffer;

  constructor(count: number, size: number) {
    this.bytes = Buffer.alloc(count * size);
    this.#vectors = Buffer.alloc(count * IOVEC_BYTES);
    this.messages = Buffer.alloc(count * MESSAGE_BYTES);
    const bytesAt = koffi.address(this.bytes);
    const vectorsAt = koffi.address(this.#vectors);
    for (let i = 0; i < count; i++) {
      this.#vectors.writeBigUInt64LE(bytesAt + BigInt(i * size), i * IOVEC_BYTES);
      this.#vectors.writeBigUInt64LE(BigInt(size), i * IOVEC_BYTES + 8);
      this.messages.writeBigUInt64LE(vectorsAt + BigInt(i * IOVEC_BYTES), i * MESSAGE_BYTES + IOV_AT);
      this.messages.writeBigUInt64LE(1n, i * MESSAGE_BYTES + IOV_COUNT_AT);
    }
  }

  /** Bytes of a datagram to send; all of its place until set. */
  setLength(index: number, length: number): void {
    this.#vectors.writeUInt32LE(length, index * IOVEC_BYTES + 8);
  }

  /** Bytes of a datagram received. */
  lengthOf(index: number): number {
    return this.messages.readUInt32LE(index * MESSAGE_BYTES + LENGTH_AT);
  }
}

export class DatagramSocket {
  readonly fd: number;

  /** @param host an IPv4 address. */
  constructor(host: string, port: number) {
    const address = Buffer.alloc(SOCKADDR_BYTES);
    const ip = ipBytes(host);
    if (ip?.length !== 4) throw new Error(`not an IPv4 address: ${host}`);
    address.writeUInt16LE(AF_INET, 0);
    address.writeUInt16BE(port, 2);
    address.set(ip, 4);
    this.fd = checked(calls.socket(AF_INET, SOCK_DGRAM, 0), 'socket');
    checked(calls.connect(this.fd, address, address.length), 'connect');
  }

  /** Sends the first `count`, however many calls it takes. */
  send(datagrams: Datagrams, count: number): void {
    for (let sent = 0; sent < count; ) {
      const rest = datagrams.messages.subarray(sent * MESSAGE_BYTES);
      sent += checked(calls.sendmmsg(this.fd, rest, count - sent, 0), 'sendmmsg');
    }
  }

  /** What has arrived, up to `count`; 0 when nothing has. */
  receive(datagrams: Datagrams, count: number): number {
    const received = calls.recvmmsg(this.fd, datagrams.messages, count, MSG_DONTWAIT, null);
    return received < 0 && koffi.errno() === EAGAIN ? 0 : checked(received, 'recvmmsg');
  }

  close(): void {
    calls.close(this.fd);
  }
}

/** Sleeps until one of the sockets has a datagram, or the time is over. */
export function waitForAny(sockets: readonly DatagramSocket[], timeoutMs: number): void {
  const fds = Buffer.alloc(sockets.length * POLLFD_BYTES);
  for (const [index, { fd }] of sockets.entries()) {
    fds.writeInt32LE(fd, index * POLLFD_BYTES);
    fds.writeInt16LE(POLLIN, index * POLLFD_BYTES + 4);
  }
  checked(calls.poll(fds, sockets.length, timeoutMs), 'poll');
}
