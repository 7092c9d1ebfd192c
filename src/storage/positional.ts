/**
 * Storage over pread and pwrite in workers: pieces are assembled in buffers of their own and written out when they
 * verified. For file systems where mapping is not safe or not fast. Costs a copy each way, and memory twice.
 *
 * Invariant: a place in the slab belongs to one open piece, or to `reads`; no job runs over one given back.
 */
import { HaulError } from '../errors.js';
import { runsOf } from '../metainfo/bitfield.js';
import { type BlockIndex, type Geometry, type PieceIndex, pieceHash } from '../metainfo/geometry.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import type { MemoryRange, WorkFailure } from '../work/port.js';
import { openPieceLimit } from './budgets.js';
import { Durable } from './durable.js';
import { jobFailure } from './failures.js';
import type { DataFiles, PrepareOptions } from './files.js';
import type { FilesNow } from './identities.js';
import { Jobs } from './jobs.js';
import type { StorageParts } from './memory.js';
import type { Suspect } from './other-writers.js';
import { OPENING, type OpenPiece, PieceTable } from './piece-table.js';
import type { Share } from './pool-share.js';
import type { Storage } from './port.js';
import { Reserver } from './reserver.js';
import { RunningTransfers } from './running-transfers.js';
import { type Place, placeRange, type Slab } from './slab.js';
import { SlabUnits } from './slab-units.js';
import { Transfer } from './transfer.js';

interface PositionalPiece extends OpenPiece {
  readonly place: Place;
}

export class PositionalStorage implements Storage {
  readonly kind = 'positional';
  onRoom: (() => void) | null = null;
  onPiecesWanted: (() => void) | null = null;
  onReadable: (() => void) | null = null;
  onError: ((error: HaulError) => void) | null = null;
  readonly files: DataFiles;
  readonly reads: SlabUnits;
  readonly #geometry: Geometry;
  readonly #jobs: Jobs;
  readonly #transfer: Transfer;
  readonly #durable: Durable;
  readonly #openLimit: number;
  readonly #open: PieceTable<PositionalPiece>;
  readonly #slab: Slab;
  readonly #share: Share;
  readonly #closeMemory: StorageParts['closeMemory'];
  readonly #running = new RunningTransfers();
  #isForWriting = false;
  #reserver: Reserver | null = null;
  #storePiece = -1;
  #storeIn: Buffer = Buffer.alloc(0);
  #storeAt = 0;
  #closing: Promise<void> | null = null;

  constructor({ files, pool, budgets, memory, closeMemory }: StorageParts) {
    this.files = files;
    this.#geometry = files.metainfo.geometry;
    const { layout } = files;
    this.#jobs = new Jobs(pool);
    this.#transfer = new Transfer(files, layout, this.#jobs);
    this.#durable = new Durable(files, layout, this.#jobs, { budgets, dirty: memory.dirty });
    this.#durable.onRoom = () => this.onRoom?.();
    this.#slab = memory.slab;
    this.#closeMemory = closeMemory;
    this.reads = new SlabUnits(this, {
      geometry: this.#geometry,
      budgets,
      memory,
      where: files.output,
      running: this.#running,
      hasRoom: () => this.#hasRoomForJob(),
      read: (beginBytes, place, lengthBytes) => this.#transfer.run('read', beginBytes, placeRange(place, lengthBytes)),
    });
    this.#share = this.reads.share;
    this.#openLimit = openPieceLimit(this.#geometry, budgets);
    this.#open = new PieceTable({
      stopStores: (piece) => this.#stopStores(piece),
      left: (piece, open) => this.#left(piece, open),
      roomCame: () => this.onRoom?.(),
    });
    this.#jobs.onProgress = () => {
      this.reads.units.retry();
      this.#reserver?.step();
      this.#open.progress();
    };
  }

  async prepare(options: PrepareOptions): Promise<void> {
    if (options.forWriting) this.#slab.warm(this.#geometry.pieceLengthBytes);
    await this.files.prepare({ ...options, mayReserveLater: true });
    if (options.forWriting) this.files.identities.trackWrites();
    this.#reserver = new Reserver(this.files, this.#transfer, this.#jobs, (error) => this.onError?.(error));
    this.#reserver.step();
    this.#isForWriting = options.forWriting;
  }

  get mostPieces(): number {
    return Math.min(this.#openLimit, this.#share.mostPieces);
  }

  get roomPieces(): number {
    if (this.#closing !== null || this.#durable.isBehind) return 0;
    return Math.min(this.#openLimit - this.#open.size, this.#share.roomPieces, this.#jobs.room);
  }

  get isBehind(): boolean {
    return this.#durable.isBehind;
  }

  get isShortOfMemory(): boolean {
    return this.#share.isShortOfPieces;
  }

  openPiece(piece: PieceIndex, done: (error: HaulError | null) => void): boolean {
    if (!this.#isForWriting) throw new Error('storage was not prepared for writing');
    const hasRoom = this.#closing === null && !this.#durable.isBehind && this.#open.size < this.#openLimit;
    if (!hasRoom || this.#open.has(piece)) return false;
    if (!this.#hasRoomForJob()) return this.#open.refuse();
    const place = this.#placePiece(piece);
    if (place instanceof HaulError) this.#running.track(Promise.reject(place), done, done);
    if (place === null || place instanceof HaulError) return place !== null;
    const open: PositionalPiece = { place, ...OPENING };
    this.#open.add(piece, open);
    const finish = (error: HaulError | null): void => this.#open.opened(piece, open, error, error === null, done);
    if (place.isPresent) {
      this.#running.track(Promise.resolve(null), finish, finish);
      return true;
    }
    const ranges = [placeRange(place, place.lengthBytes)];
    this.#jobs.submit({ kind: 'populate', forWriting: true, ranges }, (result) => {
      finish(result.ok ? null : this.#memoryFailure(result));
    });
    return true;
  }

  /** Null: no room, or somebody reads what is there. An error: the system gives no more memory. */
  #placePiece(piece: PieceIndex): Place | HaulError | null {
    if (!this.#share.takePiece()) return null;
    const bytes = this.#geometry.pieceLengthBytes;
    const place = this.reads.units.forget(piece) ? this.#slab.tryTake(bytes, this.files.output) : null;
    if (place === null || place instanceof HaulError) this.#share.givePiece();
    return place;
  }

  fillPiece(piece: PieceIndex, done: (error: HaulError | null) => void): void {
    const open = this.#open.use(piece);
    const finish = (error: HaulError | null): void => {
      this.#open.endJob(piece, open);
      done(error);
    };
    const transfer = this.#transfer.run('read', this.#geometry.pieceBegin(piece), this.#memoryOf(piece, open));
    this.#running.track(transfer, () => finish(null), finish);
  }

  async keepUnfinished(pieces: readonly UnfinishedPiece[]): Promise<void> {
    for (const { piece, blocks } of pieces) {
      const open = this.#open.use(piece);
      try {
        for (const { first, end } of runsOf(blocks)) await this.#writeBlocks(piece, open, first, end);
      } finally {
        this.#open.endJob(piece, open);
      }
    }
    this.#durable.addUnfinished(pieces.map(({ piece }) => piece));
  }

  #writeBlocks(piece: PieceIndex, open: PositionalPiece, first: number, end: number): Promise<void> {
    const memory = this.#memoryOf(piece, open);
    const begin = this.#geometry.blockBegin(first as BlockIndex);
    const last = (end - 1) as BlockIndex;
    const lengthBytes = this.#geometry.blockBegin(last) + this.#geometry.blockLength(piece, last) - begin;
    const part = { ...memory, beginBytes: memory.beginBytes + begin, lengthBytes };
    return this.#transfer.run('write', this.#geometry.pieceBegin(piece) + begin, part);
  }

  store(piece: PieceIndex, begin: number, source: Buffer, start: number, end: number): void {
    if (piece !== this.#storePiece) this.#beginStores(piece);
    if (begin < 0 || begin + (end - start) > this.#geometry.pieceLength(piece)) {
      throw new Error(`block ${begin}+${end - start} leaves piece ${piece}`);
    }
    source.copy(this.#storeIn, this.#storeAt + begin, start, end);
  }

  verifyPiece(piece: PieceIndex, done: (outcome: boolean | HaulError) => void): void {
    const open = this.#open.use(piece);
    const digest = pieceHash(this.files.metainfo.pieceHashes, piece);
    const memory = this.#memoryOf(piece, open);
    this.#reserver?.writeBegins();
    const finish = (outcome: boolean | HaulError): void => {
      if (outcome === true) open.isGood = true;
      this.#open.endJob(piece, open);
      this.#reserver?.writeEnded(outcome === true ? piece : null);
      done(outcome);
    };
    const transfer = this.#transfer.verifyAndWrite(this.#geometry.pieceBegin(piece), memory, digest);
    this.#running.track(transfer, finish, finish);
  }

  digestBlocks(piece: PieceIndex, done: (digests: Uint8Array | HaulError) => void): void {
    const open = this.#open.use(piece);
    this.#jobs.submit({ kind: 'digest-blocks', ranges: [this.#memoryOf(piece, open)] }, (result) => {
      this.#open.endJob(piece, open);
      done(result.ok ? result.bytes : this.#memoryFailure(result));
    });
  }

  closePiece(piece: PieceIndex): void {
    this.#open.close(piece);
  }

  sync(): Promise<readonly PieceIndex[]> {
    return this.#durable.sync();
  }

  async inspect(): Promise<FilesNow> {
    await this.#reserver?.rest();
    return this.files.identities.inspect();
  }

  freeHeldWrites(): void {
    this.files.identities.writers.look();
  }

  glance(count: number): Promise<HaulError | null> {
    return this.files.identities.glance(count);
  }

  get suspects(): readonly Suspect[] {
    return this.files.identities.writers.suspects;
  }

  acquit(suspects: readonly Suspect[]): void {
    this.files.identities.writers.acquit(suspects);
  }

  /** Open pieces are gathered in memory of our own. */
  hasOtherWriter(): boolean {
    return false;
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.reads.refuse();
    this.#open.closeAll();
    await this.#reserver?.close();
    await this.#durable.close();
    while (this.#running.size > 0 || !this.#jobs.isIdle) {
      await this.#running.idle();
      await this.#jobs.idle();
    }
    this.reads.close();
    await this.#closeMemory();
    await this.files.close();
  }

  #hasRoomForJob(): boolean {
    if (this.#jobs.room > 0) return true;
    this.#jobs.watch();
    return false;
  }

  #memoryOf(piece: PieceIndex, open: PositionalPiece): MemoryRange {
    return placeRange(open.place, this.#geometry.pieceLength(piece));
  }

  #beginStores(piece: PieceIndex): void {
    const { region, beginBytes } = this.#open.ready(piece).place;
    this.#storeIn = region.buffer;
    this.#storeAt = beginBytes;
    this.#storePiece = piece;
  }

  #stopStores(piece: PieceIndex): void {
    if (this.#storePiece === piece) this.#storePiece = -1;
  }

  #left(piece: PieceIndex, { place, isPresent, isGood }: PositionalPiece): void {
    this.#slab.give(place, isPresent);
    this.#share.givePiece();
    if (isGood) this.#durable.add(piece);
  }

  #memoryFailure(result: WorkFailure): HaulError {
    return jobFailure(result, this.files.output, 0);
  }
}
