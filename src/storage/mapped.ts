/**
 * Storage over mapped files: blocks are copied straight to their final place, served straight from it.
 *
 * Invariant: the main thread touches only pages that a worker has made present, of open pieces that are ready and of
 * pinned units, or, of these, pages that are in the page cache. A window stays mapped while an open piece, a resident
 * unit or a job needs it.
 * Where memory was lost because somebody cut a file off, whatever any window holds proves nothing: all is refused from
 * then on. It is looked for before each store and after each job, and a piece is good only when none was lost up to the
 * end of its hash. No view of this memory leaves, except the slices of pinned ranges.
 */
import type { HaulError } from '../errors.js';
import { type Geometry, type PieceIndex, pieceHash } from '../metainfo/geometry.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import * as mmap from '../native/mmap-io.js';
import type { MemoryRange, WorkFailure, WorkResult } from '../work/port.js';
import { type Budgets, evenUnit, openPieceLimit } from './budgets.js';
import { Durable } from './durable.js';
import { ExtentTable, NO_WINDOW } from './extents.js';
import { isShorter, jobFailure } from './failures.js';
import type { DataFiles, PrepareOptions } from './files.js';
import type { FilesNow } from './identities.js';
import { Jobs } from './jobs.js';
import { Losses } from './losses.js';
import { MappedUnits } from './mapped-units.js';
import type { StorageMemory, StorageParts } from './memory.js';
import type { Suspect } from './other-writers.js';
import { OPENING, type OpenPiece, PieceTable } from './piece-table.js';
import type { Share } from './pool-share.js';
import type { Storage } from './port.js';
import { memoryRanges } from './ranges.js';
import { RunningTransfers } from './running-transfers.js';
import { tenantOf } from './tenant.js';
import { Windows } from './windows.js';

interface MappedPiece extends OpenPiece {
  readonly windows: readonly number[];
  readonly ranges: readonly MemoryRange[];
}

export class MappedStorage implements Storage {
  readonly kind = 'mapped';
  onRoom: (() => void) | null = null;
  onPiecesWanted: (() => void) | null = null;
  onReadable: (() => void) | null = null;
  onError: ((error: HaulError) => void) | null = null;
  readonly files: DataFiles;
  readonly #geometry: Geometry;
  readonly #extents: ExtentTable;
  readonly #jobs: Jobs;
  readonly #durable: Durable;
  readonly #openLimit: number;
  readonly #budgets: Budgets;
  readonly #memory: StorageMemory;
  readonly #share: Share;
  readonly #closeMemory: StorageParts['closeMemory'];
  readonly #open: PieceTable<MappedPiece>;
  readonly #running = new RunningTransfers();
  #windows: Windows | null = null;
  #losses: Losses | null = null;
  #units: MappedUnits | null = null;
  /** The piece of the last `store`: blocks of one piece come in runs. */
  #storePiece = -1;
  #closing: Promise<void> | null = null;

  constructor({ files, pool, budgets, memory, closeMemory }: StorageParts) {
    this.files = files;
    this.#geometry = files.metainfo.geometry;
    this.#budgets = budgets;
    this.#memory = memory;
    this.#closeMemory = closeMemory;
    const { pieceLengthBytes } = this.#geometry;
    const tenant = tenantOf(this, {
      units: () => this.#units?.units ?? null,
      hurry: () => this.#units?.hurry(),
      isClosing: () => this.#closing !== null,
    });
    this.#share = memory.mapped.join(pieceLengthBytes, evenUnit(pieceLengthBytes, budgets.residentUnitBytes), tenant);
    const { layout } = files;
    this.#extents = new ExtentTable(layout, budgets.windowBytes, mmap.pageSize());
    this.#jobs = new Jobs(pool);
    this.#durable = new Durable(files, layout, this.#jobs, { budgets, dirty: memory.dirty });
    this.#durable.onRoom = () => this.onRoom?.();
    this.#openLimit = openPieceLimit(this.#geometry, budgets);
    this.#open = new PieceTable({
      stopStores: (piece) => this.#stopStores(piece),
      left: (piece, open) => this.#left(piece, open),
      roomCame: () => this.onRoom?.(),
    });
  }

  async prepare(options: PrepareOptions): Promise<void> {
    await this.files.prepare(options);
    if (options.forWriting) this.files.identities.watchWrites();
    this.#windows = new Windows(this.#extents, this.files, options.forWriting, {
      windowCount: this.#budgets.windowCount,
      maps: this.#memory.maps,
    });
    this.#losses = new Losses(this.#windows, this.#extents, this.files, (error) => this.onError?.(error));
    this.#units = new MappedUnits({
      geometry: this.#geometry,
      extents: this.#extents,
      windows: this.#windows,
      jobs: this.#jobs,
      budgets: this.#budgets,
      room: this.#share,
      isOpen: (piece) => this.#open.has(piece),
      losses: this.#losses,
      onReadable: () => this.onReadable?.(),
      onError: (error) => this.onError?.(error),
      failure: (result, piece) => this.#failure(result, piece),
    });
    this.#jobs.onProgress = () => {
      this.#units?.progress();
      this.#open.progress();
    };
  }

  get roomPieces(): number {
    if (this.#closing !== null || this.#durable.isBehind) return 0;
    return Math.min(this.#openLimit - this.#open.size, this.#share.roomPieces, this.#jobs.room);
  }

  get mostPieces(): number {
    return Math.min(this.#openLimit, this.#share.mostPieces);
  }

  get isBehind(): boolean {
    return this.#durable.isBehind;
  }

  get isShortOfMemory(): boolean {
    return this.#share.isShortOfPieces;
  }

  openPiece(piece: PieceIndex, done: (error: HaulError | null) => void): boolean {
    const hasRoom = this.#closing === null && !this.#durable.isBehind && this.#open.size < this.#openLimit;
    if (!hasRoom || this.#open.has(piece)) return false;
    if (this.#jobs.room === 0) {
      this.#jobs.watch();
      return this.#open.refuse();
    }
    const begin = this.#geometry.pieceBegin(piece);
    const length = this.#geometry.pieceLength(piece);
    const numbers = this.#extents.windowsIn(begin, length);
    const windows = this.#mapping();
    if (!this.#share.takePiece()) return false;
    if (!windows.hasRoomFor(numbers) || !this.#residents().forget(piece)) {
      this.#share.givePiece();
      return this.#open.refuse();
    }
    try {
      windows.hold(numbers);
    } catch (error) {
      this.#share.givePiece();
      this.#running.track(Promise.reject(error), done, done);
      return true;
    }
    const ranges = memoryRanges(this.#extents, windows, begin, length);
    const open: MappedPiece = { windows: numbers, ranges, ...OPENING };
    const present = ranges.filter((range) => range.windowAddress !== 0);
    const isTaken = this.#jobs.trySubmit({ kind: 'populate', forWriting: true, ranges: present }, (result) => {
      this.#open.opened(piece, open, this.#trouble(result, piece), result.ok, done);
    });
    if (isTaken) this.#open.add(piece, open);
    else {
      windows.drop(numbers);
      this.#share.givePiece();
      this.#open.refuse();
    }
    return isTaken;
  }

  /** The memory of a piece is the file. */
  fillPiece(piece: PieceIndex, done: (error: HaulError | null) => void): void {
    this.#open.ready(piece);
    this.#running.track(Promise.resolve(null), done, done);
  }

  async keepUnfinished(pieces: readonly UnfinishedPiece[]): Promise<void> {
    const lost = this.#losses!.error;
    if (lost !== null) throw lost;
    this.#durable.addUnfinished(pieces.map(({ piece }) => piece));
  }

  /** The path of a block: one copy, no allocation, no fault. */
  store(piece: PieceIndex, begin: number, source: Buffer, start: number, end: number): void {
    if (piece !== this.#storePiece) this.#beginStores(piece);
    if (begin < 0 || begin + (end - start) > this.#geometry.pieceLength(piece)) {
      throw new Error(`block ${begin}+${end - start} leaves piece ${piece}`);
    }
    // Where files were cut off each page would be a fault: no more of them.
    if (this.#losses!.hasAny) return;
    const extents = this.#extents;
    const windows = this.#windows!;
    let offset = this.#geometry.pieceBegin(piece) + begin;
    for (let extent = extents.find(offset); start < end; extent++) {
      const inside = offset - extents.begin[extent]!;
      const part = Math.min(end - start, extents.lengthBytes[extent]! - inside);
      const window = extents.window[extent]!;
      if (window !== NO_WINDOW) {
        source.copy(windows.buffer(window), extents.windowBegin[extent]! + inside, start, start + part);
      }
      start += part;
      offset += part;
    }
  }

  verifyPiece(piece: PieceIndex, done: (outcome: boolean | HaulError) => void): void {
    const open = this.#open.use(piece);
    const digest = pieceHash(this.files.metainfo.pieceHashes, piece);
    this.#jobs.submit({ kind: 'verify', ranges: open.ranges, digest }, (result) => {
      // Zeros in the place of the file hash as well as the file, once blocks are stored in them: asked first, of all.
      const error = this.#trouble(result, piece);
      const isGood = error === null && result.ok && result.good;
      if (isGood) open.isGood = true;
      this.#open.endJob(piece, open);
      done(error ?? isGood);
    });
  }

  digestBlocks(piece: PieceIndex, done: (digests: Uint8Array | HaulError) => void): void {
    const open = this.#open.use(piece);
    this.#jobs.submit({ kind: 'digest-blocks', ranges: open.ranges }, (result) => {
      const error = this.#trouble(result, piece);
      this.#open.endJob(piece, open);
      if (error !== null) done(error);
      else if (result.ok) done(result.bytes);
    });
  }

  closePiece(piece: PieceIndex): void {
    this.#open.close(piece);
  }

  get reads(): MappedUnits {
    return this.#residents();
  }

  sync(): Promise<readonly PieceIndex[]> {
    return this.#durable.sync();
  }

  inspect(): Promise<FilesNow> {
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

  hasOtherWriter(piece: PieceIndex): boolean {
    const { writers } = this.files.identities;
    const begin = this.#geometry.pieceBegin(piece);
    const segments = this.files.layout.segments(begin, this.#geometry.pieceLength(piece));
    return segments.some(({ file, isStored }) => isStored && writers.wasSuspected(file));
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.#units?.refuse();
    this.#open.closeAll();
    await this.#durable.close();
    // The end of one may begin another.
    while (this.#running.size > 0 || !this.#jobs.isIdle) {
      await this.#running.idle();
      await this.#jobs.idle();
    }
    const pinned = this.#units?.units.pinnedUnits ?? 0;
    if (pinned > 0) throw new Error(`storage closed with ${pinned} pinned units`);
    this.#units?.close();
    this.#windows?.close();
    this.#share.leave();
    await this.#closeMemory();
    await this.files.close();
  }

  #mapping(): Windows {
    if (this.#windows === null) throw new Error('storage is used before prepare');
    return this.#windows;
  }

  #residents(): MappedUnits {
    if (this.#units === null) throw new Error('storage is used before prepare');
    return this.#units;
  }

  #beginStores(piece: PieceIndex): void {
    this.#open.ready(piece);
    this.#storePiece = piece;
  }

  #stopStores(piece: PieceIndex): void {
    if (this.#storePiece === piece) this.#storePiece = -1;
  }

  /** Its pages become ordinary resident units, and go when others need the room. */
  #left(piece: PieceIndex, open: MappedPiece): void {
    this.#share.givePiece();
    if (open.isPresent) this.#residents().adopt(piece);
    this.#mapping().drop(open.windows);
    if (open.isGood) this.#durable.add(piece);
  }

  /** What a job says, or what happened meanwhile. Null: the job is done, and no memory was lost up to its end. */
  #trouble(result: WorkResult, piece: PieceIndex): HaulError | null {
    const lost = this.#losses!.error;
    if (lost !== null) return lost;
    return result.ok ? null : this.#failure(result, piece);
  }

  /** Names the file that is cut off, else the first one of the piece. */
  #failure(result: WorkFailure, piece: PieceIndex): HaulError {
    const { layout } = this.files;
    const segments = layout.segments(this.#geometry.pieceBegin(piece), this.#geometry.pieceLength(piece));
    const parts = segments.map(({ file, beginBytes, lengthBytes, isStored }) => {
      return { path: this.files.path(file), endBytes: beginBytes + lengthBytes, isStored };
    });
    const isCutOff = (part: (typeof parts)[0]): boolean => part.isStored && isShorter(part.path, part.endBytes);
    const cut = result.errno === 'EFAULT' ? parts.find(isCutOff) : undefined;
    const { path, endBytes } = cut ?? parts[0]!;
    return jobFailure(result, path, endBytes);
  }
}
