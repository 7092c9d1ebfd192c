/**
 * Who reads a torrent while it arrives, over all its sessions: what each wants next becomes urgent in the scheduler of
 * the session under way, and each is woken when a piece it waits for is here, or something else happened.
 *
 *   file   |####......................|        # verified
 *   reader      ^at [window    )               urgent; the first piece of it is awaited
 *
 * A window begins small, and doubles whenever its reader had to wait, up to what comes in `WINDOW_MS`: a reader that is
 * slower than the network costs the swarm next to nothing.
 */
import { HaulError } from '../errors.js';
import { checkRead } from '../library/read-options.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { FilePriority } from '../metainfo/selection.js';
import type { Scheduler } from '../scheduler/scheduler.js';
import type { ReadOptions } from '../torrent-api.js';
import { Reader, type ReaderHost } from './reader.js';
import type { LiveTorrent } from './torrent.js';

const MIB = 1024 * 1024;
/** What a window holds at most, as time at the rate of the download: half a second waits at each peer. */
const WINDOW_MS = 2_000;
const FIRST_WINDOW_BYTES = MIB;
/** A window has two pieces at least: one comes while the other is made ready. */
const LEAST_PIECES = 2;
const MOST_WINDOW_BYTES = 64 * MIB;
/** Whoever took nothing for so long may have been dropped without `return`: it is urgent again when it reads again. */
const IDLE_MS = 30_000;
/** Of the pieces that may be open, so many may be urgent. */
const OPEN_SHARE = 0.5;

/** The session under way as readers see it. */
export type ReadSession = Pick<LiveTorrent, 'have' | 'storage'> & {
  readonly exchange: {
    readonly scheduler: Scheduler;
    readonly isClosed: boolean;
    readonly isComplete: boolean;
    readonly now: () => number;
  } | null;
  readonly rest: Pick<LiveTorrent['rest'], 'isResting' | 'rise'>;
};

/** What readers need of their torrent. */
export interface ReadTorrent {
  readonly metainfo: Pick<Metainfo, 'name' | 'geometry' | 'files' | 'isMultiFile'>;
  readonly state: string;
  readonly error: HaulError | null;
  readonly live: ReadSession | null;
  readonly isResting: boolean;
  /** By file; null: all normal. */
  readonly priorities: readonly FilePriority[] | null;
}

export class Readers implements ReaderHost {
  readonly #torrent: ReadTorrent;
  /** Those that have begun. */
  readonly #readers = new Set<Reader>();
  /** What is urgent now, so that it is told once. */
  #told = '';
  #toldTo: ReadSession | null = null;

  constructor(torrent: ReadTorrent) {
    this.#torrent = torrent;
  }

  /** @throws HaulError BAD_ARGUMENT */
  open(name: number | string, options: ReadOptions): Reader {
    const { metainfo, priorities } = this.#torrent;
    const { file, start, end, reusesMemory } = checkRead(metainfo, name, options);
    if (priorities?.[file] === 'skip') throw skippedError(metainfo, file);
    return new Reader(this, file, start, end, reusesMemory);
  }

  /** A piece is verified. */
  verified(piece: number): void {
    let hasMoved = this.#forgetIdle();
    for (const reader of this.#readers) {
      const { first, end } = this.#pieces(reader);
      if (piece < first || piece >= end) continue;
      hasMoved = true;
      if (piece === first) reader.wake();
    }
    if (hasMoved) this.#tell();
  }

  /** Only what comes shows that an urgent window costs anything: no timer is needed. */
  #forgetIdle(): boolean {
    const { exchange } = this.#torrent.live ?? {};
    if (exchange == null) return false;
    const nowMs = exchange.now();
    const { size } = this.#readers;
    for (const reader of this.#readers) {
      if (reader.isWaiting || nowMs - reader.askedMs < IDLE_MS) continue;
      reader.windowBytes = 0;
      this.#readers.delete(reader);
    }
    return this.#readers.size < size;
  }

  /** The state is another one. */
  changed(): void {
    this.#tell();
    for (const reader of this.#readers) reader.wake();
  }

  // ---- ReaderHost ----

  async take(reader: Reader, atBytes: number, mostBytes: number): Promise<Uint8Array | null> {
    const { live, metainfo } = this.#torrent;
    reader.askedMs = live?.exchange?.now() ?? Number.POSITIVE_INFINITY;
    this.#begin(reader);
    this.#checkHope(reader);
    if (live === null || this.#torrent.isResting) return null;
    if (live.rest.isResting) return this.#rise(reader, live, () => this.take(reader, atBytes, mostBytes));
    const bytes = this.#verifiedBytes(live, metainfo.files[reader.file]!.beginBytes + atBytes, mostBytes);
    const { storage } = live;
    if (bytes === 0 || storage === null) {
      this.#waits(reader);
      return null;
    }
    const target = reader.memory(bytes);
    try {
      await storage.files.read(reader.file, atBytes, target);
      return target;
    } catch (error) {
      if (!(error instanceof HaulError) || error.code !== 'CLOSED') throw error;
      // The session ends, and the next one has it; or it has just lain down.
      return live.rest.isResting ? this.#rise(reader, live, () => this.take(reader, atBytes, mostBytes)) : null;
    }
  }

  /** A seed that rests gets up for its readers. Null: it ends, and they will hear of that. */
  async #rise(reader: Reader, live: ReadSession, then: () => Promise<Uint8Array | null>): Promise<Uint8Array | null> {
    await live.rest.rise(() => {});
    return live.rest.isResting || reader.isOver ? null : then();
  }

  moved(reader: Reader): void {
    if (reader.isOver) this.#readers.delete(reader);
    this.#tell();
  }

  #begin(reader: Reader): void {
    if (this.#readers.has(reader) || reader.isOver) return;
    this.#readers.add(reader);
    reader.windowBytes = FIRST_WINDOW_BYTES;
    const { live } = this.#torrent;
    const piece = this.#pieces(reader).first;
    this.#tell();
    const { exchange } = live ?? {};
    if (live === null || exchange == null || exchange.isClosed || live.have.has(piece)) return;
    exchange.scheduler.makeWay(exchange.now());
    exchange.scheduler.fillHungry(exchange.now());
  }

  /** @throws HaulError the next byte will never come */
  #checkHope({ file, atBytes }: Reader): void {
    const { state, error, live, metainfo, priorities } = this.#torrent;
    const { name, geometry, files } = metainfo;
    if (state === 'failed' || state === 'stopped' || (state === 'paused' && error !== null))
      throw error ?? new HaulError('CLOSED', `read ${name}: the torrent is ${state}`);
    if (priorities?.[file] === 'skip') throw skippedError(metainfo, file);
    const piece = geometry.pieceAt(files[file]!.beginBytes + atBytes);
    if (live === null || live.have.has(piece)) return;
    // A seed that rests has forgotten nothing; one that is up, and a download, do not fetch again what went bad.
    const { exchange } = live;
    const wasGood =
      state === 'downloading' && exchange?.isClosed === false && exchange.scheduler.view.isVerified(piece);
    if (!wasGood && (state !== 'seeding' || live.rest.isResting)) return;
    throw new HaulError('BAD_DATA', `read ${name}: piece ${piece} has gone bad on disk`, { piece });
  }

  #waits(reader: Reader): void {
    if (reader.isWaiting) return;
    reader.isWaiting = true;
    reader.windowBytes = Math.min(2 * reader.windowBytes, this.#mostBytes());
    this.#tell();
  }

  #mostBytes(): number {
    const { exchange } = this.#torrent.live ?? {};
    if (exchange == null) return FIRST_WINDOW_BYTES;
    const rate = exchange.scheduler.view.downloadRate(null, exchange.now());
    return Math.max(FIRST_WINDOW_BYTES, Math.min((rate * WINDOW_MS) / 1000, MOST_WINDOW_BYTES));
  }

  /** Verified from this byte of the torrent on, as far as that is one stretch. */
  #verifiedBytes({ have }: ReadSession, beginBytes: number, mostBytes: number): number {
    const { geometry } = this.#torrent.metainfo;
    const endBytes = beginBytes + mostBytes;
    let at = beginBytes;
    while (at < endBytes && have.has(geometry.pieceAt(at))) at = geometry.pieceEnd(geometry.pieceAt(at));
    return Math.min(at, endBytes) - beginBytes;
  }

  /** Of its window; none before it begins and when it is over. */
  #pieces({ file, atBytes, windowBytes, endBytes }: Reader): { readonly first: PieceIndex; readonly end: PieceIndex } {
    const { geometry, files } = this.#torrent.metainfo;
    const beginBytes = files[file]!.beginBytes + atBytes;
    const { first, end } = geometry.piecesIn(beginBytes, endBytes - atBytes);
    if (windowBytes === 0) return { first, end: first };
    const near = geometry.piecesIn(beginBytes, windowBytes).end;
    return { first, end: Math.min(end, Math.max(near, first + LEAST_PIECES)) as PieceIndex };
  }

  /** Those that read most urgently first: the first pieces of all, then the second, and so on. */
  #tell(): void {
    const { live } = this.#torrent;
    const { exchange } = live ?? {};
    if (live === null || exchange == null || exchange.isClosed || exchange.isComplete) return;
    const urgent = new Set<PieceIndex>();
    const awaited: PieceIndex[] = [];
    const most = Math.max(LEAST_PIECES, Math.floor(live.storage!.mostPieces * OPEN_SHARE));
    const windows = [...this.#readers].map((reader) => {
      const { first, end } = this.#pieces(reader);
      if (reader.isWaiting && first < end) awaited.push(first);
      return { first, end };
    });
    for (let step = 0, isMore = true; isMore && urgent.size < most; step++) {
      isMore = false;
      for (const { first, end } of windows) {
        const piece = (first + step) as PieceIndex;
        if (piece >= end) continue;
        isMore = true;
        if (urgent.size < most && !live.have.has(piece)) urgent.add(piece);
      }
    }
    const pieces = [...urgent];
    const told = `${pieces.join()};${awaited.join()}`;
    if (told === this.#told && live === this.#toldTo) return;
    this.#told = told;
    this.#toldTo = live;
    exchange.scheduler.setUrgent(pieces, awaited, exchange.now());
    exchange.scheduler.fillHungry(exchange.now());
  }
}

function skippedError({ files }: Pick<Metainfo, 'files'>, file: number): HaulError {
  const path = files[file]!.path.join('/');
  return new HaulError('BAD_ARGUMENT', `${path} is skipped: setPriorities() can make it wanted`, { option: 'file' });
}
