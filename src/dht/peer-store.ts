/**
 * Who has announced which torrent to us. Pure, of a fixed size at most: per torrent, per address and in whole; what is
 * not announced again goes. When something is full the oldest of it gives way.
 */

import { type Address, formatAddress } from '../net/address.js';
import { groupOf } from '../net/remote-group.js';
import { DHT_LIMITS } from './limits.js';

interface Stored {
  readonly infoHash: string;
  readonly group: string;
  readonly key: string;
  readonly address: Address;
  readonly atMs: number;
}

export class PeerStore {
  /** By torrent, then by address, oldest first. */
  readonly #torrents = new Map<string, Map<string, Stored>>();
  /** Entries of an address, oldest first. */
  readonly #groups = new Map<string, Set<Stored>>();
  /** All, oldest first. */
  readonly #all = new Set<Stored>();

  get peerCount(): number {
    return this.#all.size;
  }

  get torrentCount(): number {
    return this.#torrents.size;
  }

  /** @param address a canonical IP address and the port of the peer */
  add(infoHash: Uint8Array, address: Address, nowMs: number): void {
    const hash = Buffer.from(infoHash).toString('latin1');
    const key = formatAddress(address);
    const group = groupOf(address.host);
    const known = this.#torrents.get(hash)?.get(key);
    if (known !== undefined) this.#remove(known);
    this.#makeRoom(hash, group);
    const stored: Stored = { infoHash: hash, group, key, address, atMs: nowMs };
    const peers = this.#torrents.get(hash) ?? new Map<string, Stored>();
    this.#torrents.set(hash, peers.set(key, stored));
    const own = this.#groups.get(group) ?? new Set<Stored>();
    this.#groups.set(group, own.add(stored));
    this.#all.add(stored);
  }

  /** Up to `count` peers of this torrent that `mayHear` lets through, of more a random choice. */
  some(infoHash: Uint8Array, count: number, mayHear: (address: Address) => boolean, random: () => number): Address[] {
    const peers = this.#torrents.get(Buffer.from(infoHash).toString('latin1'));
    if (peers === undefined) return [];
    const heard = [...peers.values()].map(({ address }) => address).filter(mayHear);
    for (let at = 0; at < Math.min(count, heard.length - 1); at++) {
      const other = at + Math.floor(random() * (heard.length - at));
      [heard[at], heard[other]] = [heard[other]!, heard[at]!];
    }
    return heard.slice(0, count);
  }

  /** Forgets what is too old. */
  tick(nowMs: number): void {
    for (const stored of this.#all) {
      if (nowMs - stored.atMs < DHT_LIMITS.peerExpiryMs) return;
      this.#remove(stored);
    }
  }

  #makeRoom(infoHash: string, group: string): void {
    const own = this.#groups.get(group);
    if (own !== undefined && own.size >= DHT_LIMITS.storedPerAddress) this.#remove(first(own));
    const peers = this.#torrents.get(infoHash);
    if (peers !== undefined && peers.size >= DHT_LIMITS.storedPerTorrent) this.#remove(first(peers.values()));
    if (this.#all.size >= DHT_LIMITS.storedPeers) this.#remove(first(this.#all));
  }

  #remove(stored: Stored): void {
    this.#all.delete(stored);
    const peers = this.#torrents.get(stored.infoHash);
    peers?.delete(stored.key);
    if (peers?.size === 0) this.#torrents.delete(stored.infoHash);
    const own = this.#groups.get(stored.group);
    own?.delete(stored);
    if (own?.size === 0) this.#groups.delete(stored.group);
  }
}

function first(stored: Iterable<Stored>): Stored {
  for (const one of stored) return one;
  throw new Error('nothing is stored');
}
