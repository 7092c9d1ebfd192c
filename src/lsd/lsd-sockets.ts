/**
 * The sockets of local service discovery: one of each family that hears the group, and one for each network that
 * speaks to it. Interfaces come and go, and the sockets with them. What cannot be sent is lost, as datagrams are.
 */
import { createSocket, type Socket } from 'node:dgram';
import { fromSystemError } from '../errors.js';
import type { Address } from '../net/address.js';
import { type Family, GROUPS, groupHost, type Link, LSD_PORT, senderOf } from './links.js';

/** No further than the network itself. */
const HOPS = 1;
const TYPES = { 4: 'udp4', 6: 'udp6' } as const;

export class LsdSockets {
  readonly #onDatagram: (bytes: Buffer, from: Address) => void;
  readonly #ears = new Map<Family, Socket>();
  readonly #mouths = new Map<string, { readonly socket: Socket; readonly link: Link }>();
  /** By which interfaces the ears hear. */
  readonly #joined = new Set<string>();
  #isClosed = false;
  /** Why nobody is heard, one line; empty: some are. */
  trouble = '';

  constructor(onDatagram: (bytes: Buffer, from: Address) => void) {
    this.#onDatagram = onDatagram;
  }

  /** Uses these networks from now on, and no others. Never rejects: see `trouble`. */
  async use(links: readonly Link[]): Promise<void> {
    for (const [via, { socket }] of this.#mouths) {
      if (links.some((link) => link.via === via)) continue;
      socket.close();
      this.#mouths.delete(via);
    }
    let trouble = links.length === 0 ? 'LSD: no network to speak to' : '';
    for (const link of links) {
      try {
        await this.#openEar(link.family);
        this.#join(link);
        await this.#openMouth(link);
        if (this.#isClosed) return;
      } catch (error) {
        // Of many networks some do without: a tunnel has no multicast.
        trouble ||= fromSystemError(error, 'LSD: listen on', `${groupHost(link)} (UDP), by ${link.via}`).message;
      }
    }
    for (const via of [...this.#joined]) if (!links.some((link) => link.via === via)) this.#part(via);
    this.trouble = this.#joined.size > 0 ? '' : trouble;
  }

  /** One datagram to each network. @param of makes it; each family has a group of its own */
  send(of: (link: Link) => Buffer): void {
    for (const { socket, link } of this.#mouths.values()) socket.send(of(link), LSD_PORT, GROUPS[link.family], ignore);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const socket of this.#ears.values()) socket.close();
    for (const { socket } of this.#mouths.values()) socket.close();
    this.#mouths.clear();
  }

  async #openEar(family: Family): Promise<void> {
    if (this.#isClosed || this.#ears.has(family)) return;
    // Where the system lets us, bound to the group itself: what is sent to this machine alone is no announce.
    const socket = await this.#bound(family, GROUPS[family], LSD_PORT).catch(() =>
      this.#bound(family, family === 4 ? '0.0.0.0' : '::', LSD_PORT),
    );
    socket.on('message', (bytes, { address, port }) => {
      const from = this.#isClosed ? null : senderOf(address, port);
      if (from !== null) this.#onDatagram(bytes, from);
    });
    this.#ears.set(family, socket);
  }

  async #openMouth(link: Link): Promise<void> {
    if (this.#isClosed || this.#mouths.has(link.via)) return;
    const socket = await this.#bound(link.family, link.family === 4 ? link.via : '::', 0);
    try {
      socket.setMulticastInterface(link.via);
      socket.setMulticastTTL(HOPS);
      // Others on this very machine hear us too.
      socket.setMulticastLoopback(true);
    } catch (error) {
      socket.close();
      throw error;
    }
    this.#mouths.set(link.via, { socket, link });
  }

  #join({ family, via }: Link): void {
    const ear = this.#ears.get(family);
    if (ear === undefined || this.#joined.has(via)) return;
    ear.addMembership(GROUPS[family], via);
    this.#joined.add(via);
  }

  #part(via: string): void {
    this.#joined.delete(via);
    const family = via.includes(':') ? 6 : 4;
    try {
      this.#ears.get(family)?.dropMembership(GROUPS[family], via);
    } catch {
      // The interface is gone, and the membership with it.
    }
  }

  /** @throws the system's error */
  #bound(family: Family, address: string, port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = createSocket({ type: TYPES[family], reuseAddr: port !== 0, ipv6Only: family === 6 });
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ address, port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        // Of a datagram that reached nobody: nothing is to be done.
        socket.on('error', ignore);
        socket.unref();
        if (this.#isClosed) socket.close();
        resolve(socket);
      });
    });
  }
}

function ignore(): void {}
