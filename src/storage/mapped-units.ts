/**
 * Resident units of mapped files: makes their pages present by jobs, gives them back in batches.
 * Invariant: a unit with a slot holds its windows.
 */
import { setImmediate } from 'node:timers';
import { DEFAULTS } from '../config.js';
import type { HaulError } from '../errors.js';
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';
import * as mmap from '../native/mmap-io.js';
import type { MemoryRange, WorkFailure } from '../work/port.js';
import { type Budgets, evenUnit } from './budgets.js';
import { type ExtentTable, NO_WINDOW } from './extents.js';
import type { Jobs } from './jobs.js';
import type { Losses } from './losses.js';
import type { PinOutcome, StorageReads } from './port.js';
import { memoryRanges, pageRanges } from './ranges.js';
import type { Loading, UnitOwner, UnitRoom } from './unit-owner.js';
import { ResidentUnits } from './units.js';
import type { Windows } from './windows.js';

/** Units given back by one job: a job costs some 20 µs, giving back 1 MiB 30 µs. */
const RELEASE_UNITS = 8;

const ZEROS = Buffer.alloc(DEFAULTS.residentUnitBytes);

export interface MappedUnitsOptions {
  readonly geometry: Geometry;
  readonly extents: ExtentTable;
  readonly windows: Windows;
  readonly jobs: Jobs;
  readonly budgets: Budgets;
  readonly room: UnitRoom;
  readonly isOpen: (piece: PieceIndex) => boolean;
  /** Where there are any, nothing that a window holds proves anything. */
  readonly losses: Pick<Losses, 'hasAny'>;
  readonly onReadable: () => void;
  readonly onError: (error: HaulError) => void;
  readonly failure: (result: WorkFailure, piece: PieceIndex) => HaulError;
}

export class MappedUnits implements StorageReads, UnitOwner {
  readonly units: ResidentUnits;
  readonly #options: MappedUnitsOptions;
  /** Evicted slots to be let go, unless they are wanted again before. */
  #evicted: number[] = [];
  readonly #releaseUnits: number;
  #flushIsScheduled = false;
  #readableIsScheduled = false;
  readonly #losses: MappedUnitsOptions['losses'];
  #isRefusing = false;
  #isClosed = false;

  constructor(options: MappedUnitsOptions) {
    this.#options = options;
    this.#losses = options.losses;
    const { geometry, budgets, room } = options;
    const unitBytes = evenUnit(geometry.pieceLengthBytes, budgets.residentUnitBytes);
    this.units = new ResidentUnits(geometry, unitBytes, budgets.readCacheBytes, this, room);
    this.#releaseUnits = Math.max(1, Math.min(RELEASE_UNITS, Math.floor(this.units.evictedLimit / 2)));
  }

  get pinnedUnits(): number {
    return this.units.pinnedUnits;
  }

  pin(piece: PieceIndex, begin: number, length: number): PinOutcome {
    return this.#isRefusing || this.#losses.hasAny ? 'full' : this.units.pin(piece, begin, length);
  }

  readAhead(piece: PieceIndex, begin: number, length: number): void {
    if (!this.#isRefusing) this.units.readAhead(piece, begin, length);
  }

  unpin(piece: PieceIndex, begin: number, length: number): void {
    this.units.unpin(piece, begin, length);
  }

  slices(piece: PieceIndex, begin: number, length: number, out: Buffer[]): void {
    const { extents, windows, geometry } = this.#options;
    let offset = geometry.pieceBegin(piece) + begin;
    const end = offset + length;
    for (let extent = extents.find(offset); offset < end; extent++) {
      const inside = offset - extents.begin[extent]!;
      const part = Math.min(end - offset, extents.lengthBytes[extent]! - inside);
      const window = extents.window[extent]!;
      if (window === NO_WINDOW) pushZeros(part, out);
      else {
        const at = extents.windowBegin[extent]! + inside;
        out.push(windows.buffer(window).subarray(at, at + part));
      }
      offset += part;
    }
  }

  load(slot: number, piece: PieceIndex, begin: number, lengthBytes: number): Loading {
    const { extents, windows, jobs, geometry, budgets } = this.#options;
    const offset = geometry.pieceBegin(piece) + begin;
    const numbers = extents.windowsIn(offset, lengthBytes);
    if (!windows.hasRoomFor(numbers)) return false;
    try {
      windows.hold(numbers);
    } catch (error) {
      this.#fail(error as HaulError);
      return false;
    }
    const ranges = memoryRanges(extents, windows, offset, lengthBytes).filter((range) => range.windowAddress !== 0);
    // The main thread maps what is in memory while it sends: 16 pages a fault. A job costs it as much.
    if (budgets.asksPageCache && windows.isInMemory(offset, lengthBytes)) return 'there';
    const isTaken = jobs.trySubmit({ kind: 'populate', forWriting: false, ranges }, (result) => {
      if (!result.ok) {
        windows.drop(numbers);
        this.#options.onError(this.#options.failure(result, piece));
      }
      this.units.loaded(slot, result.ok);
      this.#options.onReadable();
    });
    if (!isTaken) windows.drop(numbers);
    return isTaken;
  }

  evict(slot: number): boolean {
    this.#evicted.push(slot);
    if (this.#evicted.length >= this.#releaseUnits) this.#scheduleFlush();
    return false;
  }

  /** `forget` drops the windows. */
  forgotten(): void {}

  /** What was given up goes now, however little it is. */
  hurry(): void {
    if (this.#evicted.length > 0) this.#scheduleFlush();
  }

  roomCame(): void {
    if (this.#readableIsScheduled || this.#isClosed) return;
    this.#readableIsScheduled = true;
    setImmediate(() => {
      this.#readableIsScheduled = false;
      if (!this.#isClosed) this.#options.onReadable();
    });
  }

  /** The pages of an open piece are present: they become units of their own. The caller still holds its windows. */
  adopt(piece: PieceIndex): void {
    const { extents, windows, geometry } = this.#options;
    for (const { begin, length } of this.#unitsOf(piece)) {
      // A peer may have asked for part of the piece since it verified: then that part has its slot already.
      if (!this.units.isKnown(piece, begin - geometry.pieceBegin(piece)))
        windows.hold(extents.windowsIn(begin, length));
    }
    this.units.adopt(piece);
  }

  /** The piece is about to be written: its pages are no longer ours to give back. False: some are in use. */
  forget(piece: PieceIndex): boolean {
    const { extents, windows, geometry } = this.#options;
    const known = this.#unitsOf(piece).filter(({ begin }) =>
      this.units.isKnown(piece, begin - geometry.pieceBegin(piece)),
    );
    if (!this.units.forget(piece)) return false;
    for (const { begin, length } of known) windows.drop(extents.windowsIn(begin, length));
    return true;
  }

  /** A job of this storage ended: what waits for room may go on. */
  progress(): void {
    if (this.#evicted.length >= this.#releaseUnits || this.units.isStarved) this.#scheduleFlush();
    this.units.retry();
  }

  /** Nothing is pinned any more. */
  refuse(): void {
    this.#isRefusing = true;
  }

  close(): void {
    this.#isClosed = true;
  }

  #fail(error: HaulError): void {
    setImmediate(() => {
      if (this.#isClosed) return;
      this.#options.onError(error);
      this.#options.onReadable();
    });
  }

  #unitsOf(piece: PieceIndex): { begin: number; length: number }[] {
    const { geometry } = this.#options;
    const { unitBytes } = this.units;
    const pieceLength = geometry.pieceLength(piece);
    const parts: { begin: number; length: number }[] = [];
    for (let at = 0; at < pieceLength; at += unitBytes) {
      parts.push({ begin: geometry.pieceBegin(piece) + at, length: Math.min(unitBytes, pieceLength - at) });
    }
    return parts;
  }

  #scheduleFlush(): void {
    if (this.#flushIsScheduled) return;
    this.#flushIsScheduled = true;
    setImmediate(() => {
      this.#flushIsScheduled = false;
      if (!this.#isClosed) this.#flush();
    });
  }

  #flush(): void {
    const { extents, windows, jobs, geometry } = this.#options;
    while (this.#evicted.length > 0 && jobs.room > 0) {
      const slots = this.#evicted.splice(0, RELEASE_UNITS).filter((slot) => this.units.beginRelease(slot));
      if (slots.length === 0) continue;
      const ranges: MemoryRange[] = slots.flatMap((slot) => this.#pagesOf(slot));
      jobs.submit({ kind: 'release', ranges }, () => {
        for (const slot of slots) {
          const begin = geometry.pieceBegin(this.units.pieceOf(slot)) + this.units.beginOf(slot);
          windows.drop(extents.windowsIn(begin, this.units.lengthOf(slot)));
          this.units.released(slot);
        }
      });
    }
  }

  #pagesOf(slot: number): MemoryRange[] {
    const { extents, windows, geometry } = this.#options;
    const begin = geometry.pieceBegin(this.units.pieceOf(slot)) + this.units.beginOf(slot);
    const length = this.units.lengthOf(slot);
    const keepsBefore = this.#isInUse(begin - 1);
    const keepsAfter = this.#isInUse(begin + length);
    return pageRanges(extents, windows, { begin, length, keepsBefore, keepsAfter }, mmap.pageSize());
  }

  /** True when the byte at this torrent offset belongs to an open piece or a resident unit. */
  #isInUse(offset: number): boolean {
    const { geometry, isOpen } = this.#options;
    if (offset < 0 || offset >= geometry.lengthBytes) return false;
    const piece = geometry.pieceAt(offset);
    return isOpen(piece) || this.units.isKnown(piece, offset - geometry.pieceBegin(piece));
  }
}

function pushZeros(lengthBytes: number, out: Buffer[]): void {
  for (let left = lengthBytes; left > 0; left -= ZEROS.length)
    out.push(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
}
