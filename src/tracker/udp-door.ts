/**
 * The tracker over UDP (BEP 15, 41). Owns a socket, and of its clients nothing: who has no connection id of the last
 * two minutes for its address is told so in fewer bytes than it sent, and what is no request of BEP 15 is dropped. So a
 * forged address gets nothing that is worth forging it, and nothing is remembered of it. The loop of Node reads some
 * datagrams and then looks at other sockets: a flood of them takes a share of the processor, not all of it.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { fromSystemError } from '../errors.js';
import { urlHost } from '../net/address.js';
import { ConnectionIds } from './connection-ids.js';
import { compactOf } from './service.js';
import { ANNOUNCE, CONNECT, HEAD_BYTES, PROTOCOL_ID_HIGH, PROTOCOL_ID_LOW, SCRAPE, writeHead } from './udp-query.js';
import type { UdpService } from './udp-service.js';

/** Datagrams that wait in the kernel while we are busy; it gives less where its own limit is lower. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const CONNECT_ANSWER_BYTES = 16;

export interface UdpDoorOptions {
  /** An address, of IPv6 `::` for both families. */
  readonly host: string;
  readonly port: number;
  readonly service: UdpService;
  /** 16 bytes that no client knows. */
  readonly secret: Uint8Array;
  /** Milliseconds. */
  readonly now: () => number;
}

const SEND_QUEUE_BYTES_MAX = 2 ** 20;

export class UdpDoor {
  readonly #socket: Socket;
  readonly #service: UdpService;
  readonly #ids: ConnectionIds;
  readonly #now: () => number;
  #isClosed = false;

  private constructor(socket: Socket, { service, secret, now }: UdpDoorOptions) {
    this.#socket = socket;
    this.#service = service;
    this.#ids = new ConnectionIds(secret);
    this.#now = now;
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

  #onDatagram(bytes: Buffer, from: RemoteInfo): void {
    if (bytes.length < HEAD_BYTES || from.port === 0) return;
    // Where the link is slower than the questions, Node would keep the answers without bound. Clients ask again.
    if (this.#socket.getSendQueueSize() > SEND_QUEUE_BYTES_MAX) return;
    const answer = this.#answer(bytes, from);
    if (answer !== null) this.#socket.send(answer, from.port, from.address);
  }

  #answer(bytes: Buffer, { address }: RemoteInfo): Buffer | null {
    const action = bytes.readUInt32BE(8);
    if (action > SCRAPE) return null;
    const compact = compactOf(address, 0);
    if (compact === null) return null;
    const ipBytes = compact.length - 2;
    if (action === CONNECT) {
      if (bytes.readUInt32BE(0) !== PROTOCOL_ID_HIGH || bytes.readUInt32BE(4) !== PROTOCOL_ID_LOW) return null;
      const answer = Buffer.allocUnsafe(CONNECT_ANSWER_BYTES);
      writeHead(answer, CONNECT, bytes);
      this.#ids.write(compact, ipBytes, this.#now(), answer, 8);
      return answer;
    }
    if (!this.#ids.isValid(compact, ipBytes, this.#now(), bytes)) return this.#service.refuse(bytes);
    return action === ANNOUNCE ? this.#service.announce(bytes, compact, address) : this.#service.scrape(bytes);
  }
}
