/**
 * What peers are given of the info dictionary (BEP 9): pieces are slices of it, never copied, so that who asks and does
 * not read holds nothing of ours. A peer may fetch all of it twice, and then one piece every few seconds, and a host as
 * much as some peers: more is rejected, and who does not heed that is dropped. It counts as uploaded for the limits of
 * the torrent: where one is reached, the pieces wait for their turn among the blocks.
 */
import { LIMITS } from '../config.js';
import { groupOf } from '../net/remote-group.js';
import type { Throttle } from '../peer/throttle.js';
import { METADATA_PIECE_BYTES, metadataPieceCount } from '../wire/metadata.js';

/** So many pieces at once, then one in so long. */
class Allowance {
  readonly #most: number;
  readonly #everyMs: number;
  #left: number;
  #refilledMs: number;

  constructor(most: number, everyMs: number, nowMs: number) {
    this.#most = most;
    this.#everyMs = everyMs;
    this.#left = most;
    this.#refilledMs = nowMs;
  }

  /** Whether there is one to take. */
  has(nowMs: number): boolean {
    const more = (nowMs - this.#refilledMs) / this.#everyMs;
    this.#left = Math.min(this.#most, this.#left + Math.max(0, more));
    this.#refilledMs = nowMs;
    return this.#left >= 1;
  }

  take(): void {
    this.#left--;
  }
}

/** The info dictionary as all peers of a session are given it. */
export class MetadataShelf {
  readonly metadata: Buffer;
  readonly uploads: Throttle;
  /** Of hosts, the one that asked last at the end. */
  readonly #hosts = new Map<string, Allowance>();

  constructor(metadata: Buffer, uploads: Throttle) {
    this.metadata = metadata;
    this.uploads = uploads;
  }

  get pieceCount(): number {
    return metadataPieceCount(this.metadata.length);
  }

  makeAllowance(share: number, nowMs: number): Allowance {
    const most = share * (2 * this.pieceCount + LIMITS.metadataSparePieces);
    return new Allowance(most, LIMITS.metadataPieceEveryMs / share, nowMs);
  }

  /** That of the host, over all its connections. */
  ofHost(host: string, nowMs: number): Allowance {
    const group = groupOf(host);
    const allowance = this.#hosts.get(group) ?? this.makeAllowance(LIMITS.metadataPeersPerHost, nowMs);
    this.#hosts.delete(group);
    this.#hosts.set(group, allowance);
    const [oldest] = this.#hosts.keys();
    if (this.#hosts.size > LIMITS.metadataHosts) this.#hosts.delete(oldest!);
    return allowance;
  }
}

export interface MetadataAsker {
  readonly host: string;
  readonly isClosing: boolean;
  give(piece: number, bytes: Buffer): void;
  reject(piece: number): void;
}

/** What one peer is given. */
export class MetadataAnswers {
  readonly #shelf: MetadataShelf;
  readonly #asker: MetadataAsker;
  readonly #own: Allowance;
  /** Pieces that wait for the upload limit. */
  readonly #waiting: number[] = [];
  #rejects = 0;

  constructor(shelf: MetadataShelf, asker: MetadataAsker, nowMs: number) {
    this.#shelf = shelf;
    this.#asker = asker;
    this.#own = shelf.makeAllowance(1, nowMs);
  }

  /** Gives the piece, now or in its turn, or rejects it. @param piece as the peer says, any number */
  asked(piece: number, nowMs: number): void {
    const isThere = Number.isInteger(piece) && piece >= 0 && piece < this.#shelf.pieceCount;
    const ofHost = this.#shelf.ofHost(this.#asker.host, nowMs);
    const isFull = this.#waiting.length >= LIMITS.metadataWaiting;
    if (!isThere || isFull || !this.#own.has(nowMs) || !ofHost.has(nowMs)) {
      this.#rejects++;
      this.#asker.reject(piece);
      return;
    }
    this.#own.take();
    ofHost.take();
    if (this.#waiting.length === 0 && !this.#shelf.uploads.isDry) this.#give(piece);
    else if (this.#waiting.push(piece) === 1) this.#wait(0);
  }

  /** It was refused so often that it does not mean to stop. */
  get isFlood(): boolean {
    return this.#rejects > LIMITS.metadataRejectsPerPeer;
  }

  #wait(tookBytes: number): void {
    this.#shelf.uploads.wait(() => {
      if (this.#asker.isClosing) return;
      const tookNow = this.#give(this.#waiting.shift()!);
      if (this.#waiting.length > 0) this.#wait(tookNow);
    }, tookBytes);
  }

  #give(piece: number): number {
    const begin = piece * METADATA_PIECE_BYTES;
    const bytes = this.#shelf.metadata.subarray(begin, begin + METADATA_PIECE_BYTES);
    this.#shelf.uploads.take(bytes.length);
    this.#asker.give(piece, bytes);
    return bytes.length;
  }
}
