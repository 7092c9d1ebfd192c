/**
 * Many datagrams with one system call each way: recvmmsg and sendmmsg over koffi, on sockets that Node.js or somebody
 * else made. The structures are laid out in memory that is made once. 64-bit Linux, little-endian.
 * Invariant: the kernel is told addresses of buffers that live as long as this. A descriptor is used only while its
 * owner has it open: after that its number is another file's.
 */
import type { Socket } from 'node:dgram';
import { createRequire } from 'node:module';
import { endianness } from 'node:os';

/**
 * struct mmsghdr: { msghdr: name, namelen at 8, iov at 16, iovlen at 24, control, controllen, flags; len at 56 }, 64
 * bytes. struct iovec: { base, len }.
 */
const MESSAGE_BYTES = 64;
const NAME_LENGTH_AT = 8;
const VECTOR_AT = 16;
const VECTOR_COUNT_AT = 24;
const LENGTH_AT = 56;
const VECTOR_BYTES = 16;
/** struct sockaddr_in6, the longer one of UDP. */
export const NAME_BYTES = 28;
const NAME_WORDS = NAME_BYTES / 4;
const MSG_DONTWAIT = 0x40;

interface Calls {
  readonly recvmmsg: (fd: number, messages: Uint8Array, count: number, flags: number, timeout: null) => number;
  readonly sendmmsg: (fd: number, messages: Uint8Array, count: number, flags: number) => number;
  readonly addressOf: (bytes: Uint8Array) => bigint;
  readonly errno: () => number;
}

let calls: Calls | null | undefined;

function loadCalls(): Calls | null {
  const isKnown = process.platform === 'linux' && endianness() === 'LE';
  if (!isKnown) return null;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    if (koffi.sizeof('void *') !== 8) return null;
    const libc = koffi.load(null);
    return {
      recvmmsg: libc.func('int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)'),
      sendmmsg: libc.func('int sendmmsg(int fd, void *messages, unsigned int count, int flags)'),
      addressOf: (bytes) => BigInt(koffi.address(bytes)),
      errno: () => koffi.errno(),
    } as Calls;
  } catch {
    return null;
  }
}

function theCalls(): Calls | null {
  if (calls === undefined) calls = loadCalls();
  return calls;
}

/** Whether to use the other things here: else there is one call for each datagram, of Node.js. */
export function canBatchDatagrams(): boolean {
  return process.env.SWARMHAUL_NATIVE !== 'off' && theCalls() !== null;
}

/**
 * The descriptor of a bound socket, or null where Node.js keeps it elsewhere than its versions 20 to 26 do: behind a
 * symbol of the socket.
 */
export function descriptorOf(socket: Socket): number | null {
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    if (symbol.description !== 'state symbol') continue;
    const state = (socket as unknown as Record<symbol, { handle?: { fd?: unknown } } | undefined>)[symbol];
    const fd = state?.handle?.fd;
    return typeof fd === 'number' && fd > 2 ? fd : null;
  }
  return null;
}

/** Room for `count` datagrams of up to `size` bytes each, and the address each came from or goes to. */
export class Datagrams {
  readonly count: number;
  /** Datagram i begins at i × size. */
  readonly bytes: Buffer;
  /** The same, one by one. */
  readonly each: readonly Buffer[];
  /** struct sockaddr_in or sockaddr_in6 of datagram i, at i × NAME_BYTES. */
  readonly names: Buffer;
  /** struct mmsghdr. */
  readonly messages: Buffer;
  readonly #size: number;
  readonly #vectors: Buffer;
  readonly #nameWords: Uint32Array;

  /** @param isNamed false: of a connected socket, there are no addresses. @throws where there are no such calls */
  constructor(count: number, size: number, isNamed: boolean) {
    const found = theCalls();
    if (found === null) throw new Error('datagrams in batches need 64-bit Linux and koffi');
    this.count = count;
    this.#size = size;
    this.bytes = Buffer.alloc(count * size);
    this.each = Array.from({ length: count }, (_, i) => this.bytes.subarray(i * size, (i + 1) * size));
    this.#nameWords = new Uint32Array(count * NAME_WORDS);
    this.names = Buffer.from(this.#nameWords.buffer);
    this.messages = Buffer.alloc(count * MESSAGE_BYTES);
    this.#vectors = Buffer.alloc(count * VECTOR_BYTES);
    const bytesAt = found.addressOf(this.bytes);
    const namesAt = found.addressOf(this.names);
    const vectorsAt = found.addressOf(this.#vectors);
    for (let i = 0; i < count; i++) {
      this.#vectors.writeBigUInt64LE(bytesAt + BigInt(i * size), i * VECTOR_BYTES);
      const message = i * MESSAGE_BYTES;
      if (isNamed) this.messages.writeBigUInt64LE(namesAt + BigInt(i * NAME_BYTES), message);
      this.messages.writeBigUInt64LE(vectorsAt + BigInt(i * VECTOR_BYTES), message + VECTOR_AT);
      this.messages.writeBigUInt64LE(1n, message + VECTOR_COUNT_AT);
      this.setLength(i, size);
      if (isNamed) this.setNameLength(i, NAME_BYTES);
    }
  }

  /** Bytes of a datagram to send; all of its place until set. */
  setLength(index: number, length: number): void {
    this.#vectors.writeUInt32LE(length, index * VECTOR_BYTES + 8);
  }

  /** What `setLength` said. */
  sizeOf(index: number): number {
    return this.#vectors.readUInt32LE(index * VECTOR_BYTES + 8);
  }

  /** Bytes of a datagram received: of a longer one what its place has room for. */
  lengthOf(index: number): number {
    return Math.min(this.#size, this.messages.readUInt32LE(index * MESSAGE_BYTES + LENGTH_AT));
  }

  nameLengthOf(index: number): number {
    return this.messages.readUInt32LE(index * MESSAGE_BYTES + NAME_LENGTH_AT);
  }

  setNameLength(index: number, length: number): void {
    this.messages.writeUInt32LE(length, index * MESSAGE_BYTES + NAME_LENGTH_AT);
  }

  /** Sends what stands at `index` to where the other one's datagram came from. */
  answer(index: number, received: Datagrams, of: number): void {
    const from = received.#nameWords;
    // For so few words a call into the runtime costs more than the copy.
    for (let i = 0; i < NAME_WORDS; i++) this.#nameWords[index * NAME_WORDS + i] = from[of * NAME_WORDS + i]!;
    this.setNameLength(index, received.nameLengthOf(of));
  }
}

/** Takes what has arrived, without waiting: how many, 0 when there is nothing, or −errno. */
export function receiveMany(fd: number, datagrams: Datagrams): number {
  const { recvmmsg, errno } = theCalls()!;
  // The kernel leaves the lengths of the last call there.
  if (datagrams.nameLengthOf(0) !== 0) for (let i = 0; i < datagrams.count; i++) datagrams.setNameLength(i, NAME_BYTES);
  const received = recvmmsg(fd, datagrams.messages, datagrams.count, MSG_DONTWAIT, null);
  return received >= 0 ? received : -errno();
}

/**
 * Sends those from `first` up to `end`: how many the kernel took, at least one, or −errno. @param waits for room; else
 * −EAGAIN says that there is none
 */
export function sendMany(fd: number, datagrams: Datagrams, first: number, end: number, waits = false): number {
  const { sendmmsg, errno } = theCalls()!;
  const rest = first === 0 ? datagrams.messages : datagrams.messages.subarray(first * MESSAGE_BYTES);
  const sent = sendmmsg(fd, rest, end - first, waits ? 0 : MSG_DONTWAIT);
  return sent >= 0 ? sent : -errno();
}
