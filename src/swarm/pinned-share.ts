/**
 * What the unsent blocks of one peer keep resident, and what of it one torrent allows. Without a bound a few peers that
 * ask for a block of each unit and then read nothing would pin all the memory there is for serving, and nobody else
 * would be served. A unit is what becomes resident as one (see `StorageReads.units`).
 *
 * A peer that reads briskly may pin 8 MiB; one that is new, or slow to read, two units. Together they leave a quarter
 * of the units free, the slow ones half, so that whoever reads on always finds room. One address (IPv6: one /64) holds
 * a quarter while others are served too.
 *
 * Blocks are counted as well: a peer may ask byte by byte for a unit that it holds already.
 */
import { BLOCK_LENGTH_BYTES, LIMITS } from '../config.js';
import type { Geometry } from '../metainfo/geometry.js';
import { groupOf } from '../net/remote-group.js';
import type { StorageReads } from '../storage/port.js';
import { Uptake } from './uptake.js';

/** Of all units, this share may be pinned; by peers that do not read briskly; by peers of one address. */
const PINNED_SHARE = 0.75;
const SLOW_SHARE = 0.5;
const ADDRESS_SHARE = 0.25;
/** Units of a peer that is new or slow: it asks in order, and goes on to the next one. */
const SLOW_UNITS = 2;

/** Blocks on their way to all peers: as many as lie in so many times the units that there may be. */
const BLOCKS_OF_UNITS = 2;

/** `own`: the peer holds all that it may, and goes on when some of it was sent. `turn`: others hold too much. */
export type PinVerdict = 'free' | 'own' | 'turn';

/** All peers of one address. */
interface Host {
  peers: number;
  units: number;
  /** One of them waits because the others hold all that the address may. */
  isCrowded: boolean;
}

/** The pins of one torrent. */
export class PinBook {
  readonly unitBytes: number;
  readonly unitsPerPiece: number;
  readonly slowUnits: number;
  /** Somebody waits for a turn. */
  hasWaiting = false;
  /** Somebody does because of what all peers together hold. */
  isShort = false;
  /** Looks in a row, one a second, that found it short. */
  crowdedSeconds = 0;
  /** On their way to all peers. */
  blocks = 0;
  /** As many may be. Each request looks at it, so it is kept, and follows the units with every unit and second. */
  mostBlocks: number;
  /** Looks in a row that found somebody without room while all that is resident is pinned. */
  #stuckLooks = 0;
  readonly #reads: StorageReads;
  readonly #hosts = new Map<string, Host>();

  constructor(geometry: Geometry, reads: StorageReads) {
    this.#reads = reads;
    this.unitBytes = reads.units.lengthBytes;
    this.unitsPerPiece = Math.ceil(geometry.pieceLengthBytes / this.unitBytes);
    this.slowUnits = Math.max(SLOW_UNITS, Math.floor(LIMITS.slowSendBytesPerPeer / this.unitBytes));
    this.mostBlocks = this.#blocksIn(reads.units.count);
  }

  /** At least one. */
  unitsIn(bytes: number): number {
    return Math.max(1, Math.floor(bytes / this.unitBytes));
  }

  join(host: string): PinnedShare {
    const group = groupOf(host);
    const entry = this.#hosts.get(group) ?? { peers: 0, units: 0, isCrowded: false };
    this.#hosts.set(group, entry);
    entry.peers++;
    return new PinnedShare(this, entry);
  }

  leave(host: string): void {
    const group = groupOf(host);
    const entry = this.#hosts.get(group);
    if (entry !== undefined && --entry.peers === 0) this.#hosts.delete(group);
  }

  /** All who wait look again: who finds no room says so anew. */
  lookAgain(): void {
    this.hasWaiting = false;
    this.isShort = false;
    for (const host of this.#hosts.values()) host.isCrowded = false;
  }

  /**
   * Once a second. Somebody waits for room although these books had some: other torrents hold the memory, and only what
   * is pinned here can make place.
   */
  lookForRoom(isWaited: boolean): void {
    const { count, lengthBytes, residentBytes } = this.#reads.units;
    this.mostBlocks = this.#blocksIn(count);
    const { pinnedUnits } = this.#reads;
    const isStuck = isWaited && pinnedUnits > 0 && pinnedUnits * lengthBytes >= residentBytes;
    this.#stuckLooks = isStuck ? this.#stuckLooks + 1 : 0;
    if (this.#stuckLooks < 2) return;
    this.hasWaiting = true;
    this.isShort = true;
  }

  /** Whether this many more units may be pinned. If not, somebody waits from now on. */
  hasRoomFor(units: number, host: Host, isSlow: boolean): boolean {
    const { count } = this.#reads.units;
    this.mostBlocks = this.#blocksIn(count);
    const most = Math.floor(count * (isSlow ? SLOW_SHARE : PINNED_SHARE));
    const isShort = this.#reads.pinnedUnits + units > most;
    // Whoever holds nothing may begin: a range may lie in more units than the share of an address is.
    const isCrowded = this.#hosts.size > 1 && host.units > 0 && host.units + units > Math.floor(count * ADDRESS_SHARE);
    if (!isShort && !isCrowded) return true;
    this.hasWaiting = true;
    // Who fills the share of its own address has nothing to ask of others.
    if (isCrowded) host.isCrowded = true;
    else this.isShort = true;
    return false;
  }

  #blocksIn(units: number): number {
    return (BLOCKS_OF_UNITS * units * this.unitBytes) / BLOCK_LENGTH_BYTES;
  }
}

export class PinnedShare {
  /** How the peer reads what it asked for. */
  readonly uptake = new Uptake();
  readonly #book: PinBook;
  readonly #host: Host;
  /** Blocks by unit; a peer that asks in order has two or three. */
  readonly #blocks = new Map<number, number>();
  /** On their way to it. */
  #count = 0;

  constructor(book: PinBook, host: Host) {
    this.#book = book;
    this.#host = host;
  }

  get units(): number {
    return this.#blocks.size;
  }

  /** Read ahead for it; twice what a swift peer is sent at once. */
  get aheadBytes(): number {
    return Math.max(LIMITS.readAheadBytesPerPeer, 2 * this.uptake.sendBytes);
  }

  /** Who has some on their way hears when these have left. */
  get #hasManyBlocks(): boolean {
    if (this.#count < LIMITS.sentBlocksAtLeast) return false;
    const most = this.uptake.sendBytes / LIMITS.sentBlockBytesAtLeast;
    return this.#count >= most || this.#book.blocks >= this.#book.mostBlocks;
  }

  /** Whether this block may be pinned too. What has its units in common with earlier blocks takes no more of them. */
  verdict(piece: number, begin: number, length: number): PinVerdict {
    if (this.#hasManyBlocks) return 'own';
    const first = this.#unitAt(piece, begin);
    const last = this.#unitAt(piece, begin + length - 1);
    let more = 0;
    for (let unit = first; unit <= last; unit++) if (!this.#blocks.has(unit)) more++;
    if (more === 0) return 'free';
    const { isBrisk, slowSeconds } = this.uptake;
    const most = isBrisk ? this.#book.unitsIn(this.aheadBytes) : this.#book.slowUnits;
    // One block may lie in more units than a peer may hold: then it goes alone.
    if (this.#blocks.size + more > most && this.#blocks.size > 0) return 'own';
    return this.#book.hasRoomFor(more, this.#host, slowSeconds > 0) ? 'free' : 'turn';
  }

  /** What it holds is what somebody waits for. */
  get isInTheWay(): boolean {
    return this.units > 0 && (this.#book.isShort || this.#host.isCrowded);
  }

  add(piece: number, begin: number, length: number): void {
    this.#count++;
    this.#book.blocks++;
    const last = this.#unitAt(piece, begin + length - 1);
    for (let unit = this.#unitAt(piece, begin); unit <= last; unit++) {
      const blocks = this.#blocks.get(unit) ?? 0;
      if (blocks === 0) this.#host.units++;
      this.#blocks.set(unit, blocks + 1);
    }
  }

  remove(piece: number, begin: number, length: number): void {
    this.#count--;
    this.#book.blocks--;
    const last = this.#unitAt(piece, begin + length - 1);
    for (let unit = this.#unitAt(piece, begin); unit <= last; unit++) {
      const left = this.#blocks.get(unit)! - 1;
      if (left > 0) {
        this.#blocks.set(unit, left);
        continue;
      }
      this.#blocks.delete(unit);
      this.#host.units--;
    }
  }

  #unitAt(piece: number, begin: number): number {
    return piece * this.#book.unitsPerPiece + Math.floor(begin / this.#book.unitBytes);
  }
}
