/** A UDP socket of the DHT, of one family. What cannot be sent is lost, as datagrams are. */
import { createSocket, type Socket } from 'node:dgram';
import { fromSystemError } from '../errors.js';
import { type Address, ipBytes, ipText, urlHost } from '../net/address.js';
import type { Family } from './messages.js';

/** Datagrams that wait in the kernel while we are busy; it gives less where its own limit is lower. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

export class DhtSocket {
  readonly #socket: Socket;
  /** Known also after the end. */
  readonly port: number;
  #isClosed = false;

  private constructor(socket: Socket, onDatagram: (bytes: Buffer, from: Address) => void) {
    this.#socket = socket;
    this.port = socket.address().port;
    socket.on('message', (bytes, { address, port }) => {
      // A zone (fe80::1%eth0) is of a link: such an address has no compact form, and is nobody's.
      const ip = ipBytes(address);
      if (ip !== null && !this.#isClosed) onDatagram(bytes, { host: ipText(ip, 0, ip.length), port });
    });
    // Of a datagram that did not reach anybody: whoever waits for an answer sees that none comes.
    socket.on('error', () => {});
    socket.unref();
  }

  /** @param host an address of that family. @throws HaulError PORT_IN_USE, NO_PERMISSION, IO */
  static async open(
    family: Family,
    host: string,
    port: number,
    onDatagram: (bytes: Buffer, from: Address) => void,
  ): Promise<DhtSocket> {
    const socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      ipv6Only: family === 6,
      // Datagrams go to addresses: there is nothing to look up.
      lookup: (address, _options, callback) => callback(null, address, family),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(fromSystemError(error, 'DHT: listen on', `${urlHost(host)} UDP port ${port}`));
      });
      socket.bind({ address: host, port, exclusive: true }, resolve);
    });
    socket.removeAllListeners('error');
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    } catch {
      // What the kernel gives by itself will do.
    }
    return new DhtSocket(socket, onDatagram);
  }

  send(bytes: Buffer, to: Address): void {
    if (!this.#isClosed) this.#socket.send(bytes, to.port, to.host, ignore);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }
}

function ignore(): void {}
