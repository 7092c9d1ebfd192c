/**
 * Connected UDP sockets that send and receive many datagrams with one system call each (sendmmsg, recvmmsg): a load
 * made of single calls would need more CPU than what it measures. Blocking, IPv4, 64-bit Linux; for processes that do
 * nothing else.
 * Invariant: the kernel is told addresses of buffers that live as long as the socket.
 */
import koffi from 'koffi';
import { type Datagrams, receiveMany, sendMany } from '../../src/native/datagrams.js';
import { ipBytes } from '../../src/net/address.js';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const POLLIN = 1;
const EAGAIN = 11;
const SOCKADDR_BYTES = 16;
const POLLFD_BYTES = 8;

const libc = koffi.load(null);
const calls = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  connect: libc.func('int connect(int fd, const void *address, unsigned int length)'),
  poll: libc.func('int poll(void *fds, unsigned long count, int timeout)'),
  close: libc.func('int close(int fd)'),
};

function checked(result: number, name: string): number {
  if (result >= 0) return result;
  throw new Error(`${name}: errno ${koffi.errno()}`);
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
      const more = sendMany(this.fd, datagrams, sent, count, true);
      if (more < 0) throw new Error(`sendmmsg: errno ${-more}`);
      sent += more;
    }
  }

  /** What has arrived, as many as there is room for; 0 when nothing has. */
  receive(datagrams: Datagrams): number {
    const received = receiveMany(this.fd, datagrams);
    if (received < 0 && received !== -EAGAIN) throw new Error(`recvmmsg: errno ${-received}`);
    return Math.max(0, received);
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
