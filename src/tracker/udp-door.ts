/**
 * The tracker over UDP (BEP 15, 41). Owns a socket, and of its clients nothing: who has no connection id of the last
 * two minutes for its address is told so in fewer bytes than it sent, and what is no request of BEP 15 is dropped. So a
 * forged address gets nothing that is worth forging it, and nothing is remembered of it.
 * Node.js gives one datagram at a time. What waits behind it is taken with one call, and answered with one, where the
 * system can do that (`native/datagrams.ts`): under load nearly all are, and otherwise nothing waits.
 * The loop of Node reads some datagrams and then looks at other sockets, and so many batches are taken between: a flood
 * of them takes a share of the processor, not all of it.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { constants } from 'node:os';
import { fromSystemError } from '../errors.js';
import { canBatchDatagrams, Datagrams, descriptorOf, NAME_BYTES, receiveMany, sendMany } from '../native/datagrams.js';
import { ipText, urlHost } from '../net/address.js';
import { ConnectionIds } from './connection-ids.js';
import { compactOf } from './service.js';
import {
  ANNOUNCE,
  CONNECT,
  HEAD_BYTES,
  PROTOCOL_ID_HIGH,
  PROTOCOL_ID_LOW,
  SCRAPE,
  UDP_ANSWER_BYTES_MAX,
  writeHead,
} from './udp-query.js';
import type { UdpService } from './udp-service.js';

/** Datagrams that wait in the kernel while we are busy; it gives less where its own limit is lower. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const CONNECT_ANSWER_BYTES = 16;
/** Answers that wait for the link inside Node. Where it is slower than the questions there would be ever more. */
const SEND_QUEUE_BYTES_MAX = 2 ** 20;
const BATCH = 64;
/** Of one datagram: a request with a path of some thousand characters. Of a longer one the rest is not read. */
const REQUEST_BYTES_MAX = 4_096;
/** Full ones in one turn of the loop: a few milliseconds. */
const BATCHES_PER_TURN = 4;

const BATCH_CALLS = { receiveMany, sendMany };

export interface UdpDoorOptions {
  /** An address, of IPv6 `::` for both families. */
  readonly host: string;
  readonly port: number;
  readonly service: UdpService;
  /** 16 bytes that no client knows. */
  readonly secret: Uint8Array;
  /** Milliseconds. */
  readonly now: () => number;
  /** Others than those of the system, for tests. */
  readonly calls?: typeof BATCH_CALLS;
}

/** The socket's own descriptor, and memory for what is taken and given with it. */
interface Batches {
  readonly fd: number;
  readonly requests: Datagrams;
  readonly answers: Datagrams;
}

export class UdpDoor {
  readonly #socket: Socket;
  readonly #service: UdpService;
  readonly #ids: ConnectionIds;
  readonly #now: () => number;
  readonly #isIPv6: boolean;
  readonly #batches: Batches | null;
  readonly #calls: typeof BATCH_CALLS;
  #batchesLeft = BATCHES_PER_TURN;
  readonly #answer = Buffer.allocUnsafeSlow(UDP_ANSWER_BYTES_MAX);
  readonly #compact4 = new Uint8Array(4 + 2);
  readonly #compact6 = new Uint8Array(16 + 2);
  #isClosed = false;

  private constructor(socket: Socket, { host, service, secret, now, calls = BATCH_CALLS }: UdpDoorOptions) {
    this.#socket = socket;
    this.#service = service;
    this.#ids = new ConnectionIds(secret);
    this.#now = now;
    this.#isIPv6 = host.includes(':');
    this.#batches = batchesOf(socket);
    this.#calls = calls;
    socket.on('message', (bytes, from) => this.#onDatagram(bytes, from));
    // Of an answer that did not reach anybody: nobody is there to be told.
    socket.on('error', () => {});
  }

  /** @throws HaulError PORT_IN_USE, NO_PERMISSION, IO */
  static async open(options: UdpDoorOptions): Promise<UdpDoor> {
    const { host, port } = options;
    const isIPv6 = host.includes(':');
    const socket = createSocket({
      type: isIPv6 ? 'udp6' : 'udp4',
      // Answers go to the addresses that datagrams came from: there is nothing to look up.
      lookup: (address, _options, callback) => callback(null, address, isIPv6 ? 6 : 4),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(fromSystemError(error, 'tracker: listen on', `${urlHost(host)} UDP port ${port}`));
      });
      socket.bind({ address: host, port, exclusive: true }, resolve);
    });
    socket.removeAllListeners('error');
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    } catch {
      // What the kernel gives by itself will do.
    }
    return new UdpDoor(socket, options);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }

  /** The first of those that wait. */
  #onDatagram(bytes: Buffer, from: RemoteInfo): void {
    // Where the link is slower than the questions, Node would keep the answers without bound. Clients ask again.
    if (this.#socket.getSendQueueSize() > SEND_QUEUE_BYTES_MAX) return;
    const compact = from.port === 0 ? null : compactOf(from.address, 0);
    const length = compact === null ? 0 : this.#write(bytes, bytes.length, compact, this.#answer);
    if (length > 0) this.#socket.send(Buffer.from(this.#answer.subarray(0, length)), from.port, from.address);
    if (this.#batches !== null && this.#batchesLeft > 0) this.#answerBatch(this.#batches);
  }

  #answerBatch({ fd, requests, answers }: Batches): void {
    const count = this.#calls.receiveMany(fd, requests);
    if (count === BATCH && --this.#batchesLeft === 0) {
      setImmediate(() => {
        this.#batchesLeft = BATCHES_PER_TURN;
      });
    }
    let answered = 0;
    for (let i = 0; i < count; i++) {
      const compact = this.#senderOf(requests, i);
      if (compact === null) continue;
      const length = this.#write(requests.each[i]!, requests.lengthOf(i), compact, answers.each[answered]!);
      if (length === 0) continue;
      answers.setLength(answered, length);
      answers.answer(answered, requests, i);
      answered++;
    }
    this.#send(fd, answers, answered);
  }

  #send(fd: number, answers: Datagrams, count: number): void {
    for (let sent = 0; sent < count; ) {
      const more = this.#calls.sendMany(fd, answers, sent, count);
      if (more === -constants.errno.EAGAIN) {
        // The kernel has no room. Node waits until it has.
        for (; sent < count; sent++) this.#sendLater(answers, sent);
        return;
      }
      // One that cannot be sent at all (a firewall, no way there) is nobody's loss but its receiver's.
      sent += Math.max(1, more);
    }
  }

  #sendLater(answers: Datagrams, index: number): void {
    const compact = this.#senderOf(answers, index)!;
    const bytes = Buffer.from(answers.each[index]!.subarray(0, answers.sizeOf(index)));
    const port = answers.names.readUInt16BE(index * NAME_BYTES + 2);
    this.#socket.send(bytes, port, ipText(compact, 0, compact.length - 2));
  }

  /** Reused: valid until the next call. Null: nobody could be answered there. */
  #senderOf(requests: Datagrams, index: number): Uint8Array | null {
    const { names } = requests;
    const at = index * NAME_BYTES;
    // sockaddr_in: family, port, address. sockaddr_in6: family, port, flow, address, scope.
    if (names[at + 2] === 0 && names[at + 3] === 0) return null;
    const isMapped = this.#isIPv6 && isMappedAt(names, at + 8);
    const is4 = isMapped || !this.#isIPv6;
    const compact = is4 ? this.#compact4 : this.#compact6;
    const from = at + (isMapped ? 20 : this.#isIPv6 ? 8 : 4);
    for (let i = 0; i < compact.length - 2; i++) compact[i] = names[from + i]!;
    return compact;
  }

  /** Bytes of the answer; 0: none. @param compact of the sender, with room for a port */
  #write(bytes: Buffer, length: number, compact: Uint8Array, target: Buffer): number {
    if (length < HEAD_BYTES) return 0;
    const action = bytes.readUInt32BE(8);
    if (action > SCRAPE) return 0;
    const ipBytes = compact.length - 2;
    if (action === CONNECT) {
      if (bytes.readUInt32BE(0) !== PROTOCOL_ID_HIGH || bytes.readUInt32BE(4) !== PROTOCOL_ID_LOW) return 0;
      writeHead(target, CONNECT, bytes);
      this.#ids.write(compact, ipBytes, this.#now(), target, 8);
      return CONNECT_ANSWER_BYTES;
    }
    if (!this.#ids.isValid(compact, ipBytes, this.#now(), bytes)) return this.#service.refuse(bytes, length, target);
    return action === ANNOUNCE
      ? this.#service.announce(bytes, length, compact, target)
      : this.#service.scrape(bytes, length, target);
  }
}

/** Null: one by one. */
function batchesOf(socket: Socket): Batches | null {
  const fd = canBatchDatagrams() ? descriptorOf(socket) : null;
  if (fd === null) return null;
  const requests = new Datagrams(BATCH, REQUEST_BYTES_MAX, true);
  return { fd, requests, answers: new Datagrams(BATCH, UDP_ANSWER_BYTES_MAX, true) };
}

/** Whether 16 bytes are an IPv4 address as a socket of both families names it. */
function isMappedAt(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}
