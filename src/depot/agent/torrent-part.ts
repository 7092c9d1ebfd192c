/**
 * A blob as a torrent that is being fetched, and its readers. What a reader needs next is not asked for first: a
 * hundred agents that begin together would all want the same pieces of the depot, and have nothing to give each other.
 * Pieces come in the order that is best for all, and a reader gets what is verified from where it is on as one stretch.
 * One that has got nothing for a while, or that began in the middle, is read for.
 */
import type { Engine, Torrent } from '../../api.js';
import { FileSha256 } from '../../content/file-sha256.js';
import type { PieceIndex } from '../../metainfo/geometry.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import type { ArtifactRow } from '../catalogue/port.js';
import type { ByteRange } from '../store/port.js';
import type { DepotPort } from './depot-port.js';
import { DepotLies } from './depot-trouble.js';
import { Deferred, type FetchedBytes } from './fetch.js';
import { fileSha256, hashBegin } from './file-sha.js';
import type { Given, GivenAway } from './go-on.js';
import { PartSeeds } from './part-seeds.js';

export interface TorrentPartOptions {
  readonly row: ArtifactRow;
  readonly engine: Engine;
  readonly metainfo: Metainfo;
  readonly output: string;
  /** Path of the file of the blob. */
  readonly path: string;
  /** They are its web seeds: the first, and another one when that is away or gives none. */
  readonly depots: Pick<DepotPort, 'webSeedUrls' | 'follow' | 'inOrder'>;
  /** What a stream brought before, and gave to readers unverified; null: there was none. */
  readonly head: Head | null;
}

/** The begin of a blob as a stream gave it away. */
export interface Head {
  readonly lengthBytes: number;
  /** SHA-256 of these bytes; null: it is not known. */
  readonly sha256: string | null;
}

export interface PartReadOptions {
  readonly signal: AbortSignal;
  /** It got its first bytes already. */
  readonly isPatient: boolean;
  /** It got bytes of the head that nobody has verified. */
  readonly tookHead: boolean;
}

/** Held back of the whole until its SHA-256 is known to be right. */
const HELD_BYTES = 64 * 1024;
/** A reader that got nothing for so long is read for: what lies between it and its client may give it up. */
const PATIENCE_MS = 10_000;

export class TorrentPart {
  readonly torrent: Torrent;
  readonly #options: TorrentPartOptions;
  /** All bytes are; null: so is the head, else what is to be said to its readers. */
  readonly #right = new Deferred<DepotLies | null>();
  readonly #whole: Promise<void>;
  readonly #hash: FileSha256;
  /** Pieces before this one are verified, as far as we were told. */
  #next = 0;
  readonly #ahead = new Set<number>();
  #waiting: (() => void)[] = [];
  #isChecked = false;
  #isHeadBad = false;
  #isJudging = false;
  #isClosed = false;
  readonly #seeds: PartSeeds;

  constructor(options: TorrentPartOptions) {
    this.#options = options;
    const { engine, metainfo, output, path, depots, head } = options;
    const trackers = depots.inOrder(metainfo.trackers);
    this.#seeds = new PartSeeds(depots, metainfo);
    // In the folder is nothing that is anybody else's.
    const webSeeds = this.#seeds.named;
    this.torrent = engine.add(metainfo, { output, trackers, webSeeds, overwrite: true, forward: true });
    this.#seeds.begin(this.torrent);
    this.#hash = new FileSha256(path, head?.lengthBytes ?? null);
    this.torrent.on('verified', (piece) => this.#verified(piece));
    this.torrent.on('state', (state) => this.#checked(state));
    this.#whole = this.#untilWhole();
    this.#whole.catch(() => {});
  }

  get share(): number {
    const { verifiedBytes, lengthBytes } = this.torrent.stats();
    return verifiedBytes / Math.max(1, lengthBytes);
  }

  /** It is busy with what is here: what was is looked at, or all of it is forced to the device. */
  get isWorking(): boolean {
    const { verifiedPieces, pieceCount } = this.torrent.stats();
    return this.torrent.state !== 'downloading' || verifiedPieces === pieceCount;
  }

  get bytes(): FetchedBytes {
    const { downloadedBytes, webSeedBytes } = this.torrent.stats();
    return { peers: Math.max(0, downloadedBytes - webSeedBytes), webSeed: webSeedBytes };
  }

  /** Once a second or so. */
  tick(): void {
    this.#seeds.look();
  }

  /** Resolves when all is here, right, and on the device. */
  get whole(): Promise<void> {
    return this.#whole;
  }

  /**
   * Whoever got bytes of the head gets its last ones when those were right; else it throws.
   * @throws DepotLies, HaulError
   */
  async *read({ begin, end }: ByteRange, options: PartReadOptions): AsyncGenerator<Uint8Array> {
    const { signal, tookHead } = options;
    const { lengthBytes } = this.#options.row;
    const held = end === lengthBytes ? Math.max(begin, end - HELD_BYTES) : end;
    for (let at = begin; at < end && !signal.aborted; ) {
      if (options.isPatient && at >= this.#prefixBytes) await this.#grown(at, signal);
      if (tookHead && this.#isHeadBad) throw this.#badHead();
      // Of a bad one it is not known how far what is verified reaches.
      const isPatient = options.isPatient && !this.#isHeadBad;
      const until = this.#stretchEnd(at, end, isPatient);
      for await (const chunk of this.#chunks(at, until, signal)) {
        const free = Math.max(0, Math.min(chunk.length, held - at));
        at += chunk.length;
        if (free > 0) yield chunk.subarray(0, free);
        if (free === chunk.length) continue;
        const trouble = await this.#right.promise;
        if (tookHead && trouble !== null) throw trouble;
        yield chunk.subarray(free);
      }
    }
  }

  /** What readers got of the head, as far as the file has the same in its place; null: it does not, or nobody knows. */
  async given(): Promise<GivenAway> {
    const { head, path } = this.#options;
    if (head === null) return 'verified';
    const { lengthBytes, sha256 } = head;
    if (sha256 === null || this.#isHeadBad) return null;
    // The piece in which it ends need not be here yet.
    if (!this.#isChecked || this.#prefixBytes < lengthBytes) return hashedBegin(path, head).catch(() => null);
    return sha256 === (await fileSha256(path, lengthBytes).catch(() => null)) ? 'verified' : null;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#seeds.end();
    this.#hash.close();
    this.#wake();
    await this.#options.engine.remove(this.torrent).catch(() => {});
  }

  async *#chunks(start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const reader = this.torrent.read(0, { start, end, reusesMemory: true });
    const onAbort = (): void => void reader.return?.();
    signal.addEventListener('abort', onAbort);
    try {
      yield* reader;
    } finally {
      signal.removeEventListener('abort', onAbort);
      void reader.return?.();
    }
  }

  get #prefixBytes(): number {
    const { geometry } = this.torrent.metainfo;
    return Math.min(this.#options.row.lengthBytes, geometry.pieceBegin(this.#next as PieceIndex));
  }

  /** What is verified as one stretch; of what is not, a piece. Without patience all. */
  #stretchEnd(at: number, end: number, isPatient: boolean): number {
    if (!isPatient) return end;
    const { geometry } = this.torrent.metainfo;
    return Math.min(end, Math.max(this.#prefixBytes, geometry.pieceEnd(geometry.pieceAt(at))));
  }

  /** Resolves when what is verified reaches beyond this place, or when it took too long. */
  async #grown(at: number, signal: AbortSignal): Promise<void> {
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      this.#wake();
    }, PATIENCE_MS);
    signal.addEventListener('abort', this.#wake);
    while (at >= this.#prefixBytes && !this.#isClosed && !signal.aborted && !isOver && !this.#isHeadBad)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    signal.removeEventListener('abort', this.#wake);
    clearTimeout(timer);
  }

  #verified(piece: number): void {
    if (piece >= this.#next) this.#ahead.add(piece);
    this.#advance(this.#next);
    // Statistics are not asked for with each piece: they look at all peers. What was here before is not counted here.
    if (this.#next + this.#ahead.size < this.torrent.metainfo.geometry.pieceCount) return;
    const { verifiedPieces, pieceCount } = this.torrent.stats();
    if (verifiedPieces >= pieceCount) this.#judge();
  }

  /** What was here before has been looked at. Where it is not good it comes anew, and tells so. */
  #checked(state: string): void {
    if (this.#isChecked || (state !== 'downloading' && state !== 'seeding')) return;
    this.#isChecked = true;
    const { geometry } = this.torrent.metainfo;
    const pieces = geometry.wholePiecesIn(0, this.#options.head?.lengthBytes ?? 0).end;
    if (this.torrent.stats().verifiedPieces < pieces) {
      this.#isHeadBad = true;
      this.#wake();
      return;
    }
    const before = this.#next;
    this.#next = Math.max(before, pieces);
    this.#advance(before);
  }

  /** @param before what `#next` was; who waits is woken only when it has moved */
  #advance(before: number): void {
    while (this.#ahead.delete(this.#next)) this.#next++;
    if (this.#next === before) return;
    this.#hash.advance(this.#prefixBytes);
    this.#wake();
  }

  /** All pieces are verified: their SHA-256 says whether they are the blob. */
  #judge(): void {
    if (this.#isJudging) return;
    this.#isJudging = true;
    const { row, head } = this.#options;
    const { lengthBytes, sha256, name } = row;
    this.#hash.digest(lengthBytes).then(
      ({ digest, markDigest }) => {
        const isHeadRight = head === null || (head.sha256 !== null && head.sha256 === markDigest);
        if (digest === sha256) this.#right.resolve(isHeadRight ? null : this.#badHead());
        else this.#right.reject(new DepotLies(`the torrent of ${name} leads to bytes of another SHA-256`));
      },
      (error: unknown) => this.#right.reject(error),
    );
  }

  #badHead(): DepotLies {
    return new DepotLies(`the begin of ${this.#options.row.name} that it sent by HTTP is not that of the artifact`);
  }

  async #untilWhole(): Promise<void> {
    await Promise.race([this.torrent.done, this.#right.promise.then(() => this.torrent.done)]);
    this.#judge();
    await this.#right.promise;
  }

  readonly #wake = (): void => {
    for (const resolve of this.#waiting.splice(0)) resolve();
  };
}

/** Null: the file begins with something else. @throws what the file system says */
async function hashedBegin(path: string, { lengthBytes, sha256 }: Head): Promise<Given | null> {
  const hash = await hashBegin(path, lengthBytes);
  return hash.copy().digest('hex') === sha256 ? { lengthBytes, hash } : null;
}
