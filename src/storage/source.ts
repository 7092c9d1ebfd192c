/**
 * Storage of a seed whose bytes come from somewhere else than files: whoever adds it reads them. Nothing is written.
 * What was read is kept in memory as long as it is of use, like that of files without mapping.
 *
 * Invariant: a place in the slab belongs to one resident unit; no read runs into one given back.
 */
import { setMaxListeners } from 'node:events';
import type { ContentSource } from '../api.js';
import { HaulError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { FileStamp } from '../work/file-stamp.js';
import { DEFAULT_BUDGETS, evenUnit } from './budgets.js';
import { forEachConcurrently } from './concurrently.js';
import type { FilesNow } from './identities.js';
import type { StorageMemory } from './memory.js';
import type { Suspect } from './other-writers.js';
import type { Share } from './pool-share.js';
import type { PinOutcome, Storage } from './port.js';
import { RunningTransfers } from './running-transfers.js';
import type { Place, Slab } from './slab.js';
import { tenantOf } from './tenant.js';
import type { UnitOwner } from './unit-owner.js';
import { ResidentUnits } from './units.js';

/** Of one unit, which may touch many short files. */
const FILES_AT_ONCE = 8;

/** There are no files that could change. */
export function stampsOf({ files }: Metainfo): FileStamp[] {
  const stamp = (sizeBytes: number): FileStamp => ({ device: 0n, inode: 0n, birthNs: 0n, sizeBytes, mtimeNs: 0n });
  return [...files.map(({ lengthBytes }) => stamp(lengthBytes)), stamp(0)];
}

export class SourceStorage implements Storage, UnitOwner {
  readonly kind = 'positional';
  onRoom: (() => void) | null = null;
  onPiecesWanted: (() => void) | null = null;
  onReadable: (() => void) | null = null;
  onError: ((error: HaulError) => void) | null = null;
  readonly roomPieces = 0;
  readonly mostPieces = 2;
  readonly isBehind = false;
  readonly isShortOfMemory = false;
  readonly suspects: readonly Suspect[] = [];
  readonly files: Storage['files'];
  readonly #metainfo: Metainfo;
  readonly #source: ContentSource;
  readonly #units: ResidentUnits;
  readonly #slab: Slab;
  readonly #share: Share;
  /** By slot of the units. */
  readonly #places: (Place | undefined)[] = [];
  readonly #running = new RunningTransfers();
  #readableIsScheduled = false;
  readonly #ending = new AbortController();
  #closing: Promise<void> | null = null;

  constructor(metainfo: Metainfo, source: ContentSource, memory: StorageMemory) {
    this.#metainfo = metainfo;
    this.#source = source;
    // As many reads listen to it as run at once.
    setMaxListeners(0, this.#ending.signal);
    this.files = { read: (file, beginBytes, target) => this.#readFile(file, beginBytes, target) };
    this.#slab = memory.slab;
    const { geometry } = metainfo;
    const mostBytes = memory.anonymous.unitBytesFor(DEFAULT_BUDGETS.residentUnitBytes);
    const unitBytes = evenUnit(geometry.pieceLengthBytes, mostBytes);
    const isClosing = (): boolean => this.#closing !== null;
    const tenant = tenantOf(this, { units: () => this.#units, hurry: () => {}, isClosing });
    this.#share = memory.anonymous.join(geometry.pieceLengthBytes, unitBytes, tenant);
    this.#units = new ResidentUnits(geometry, unitBytes, DEFAULT_BUDGETS.readCacheBytes, this, this.#share);
  }

  async prepare(): Promise<void> {}

  pin(piece: PieceIndex, begin: number, length: number): PinOutcome {
    return this.#closing === null ? this.#units.pin(piece, begin, length) : 'full';
  }

  readAhead(piece: PieceIndex, begin: number, length: number): void {
    if (this.#closing === null) this.#units.readAhead(piece, begin, length);
  }

  unpin(piece: PieceIndex, begin: number, length: number): void {
    this.#units.unpin(piece, begin, length);
  }

  slices(piece: PieceIndex, begin: number, length: number, out: Buffer[]): void {
    const { unitBytes } = this.#units;
    for (let at = begin; at < begin + length; ) {
      const inside = at % unitBytes;
      const part = Math.min(begin + length - at, unitBytes - inside);
      const { region, beginBytes } = this.#places[this.#units.slotAt(piece, at)]!;
      out.push(region.buffer.subarray(beginBytes + inside, beginBytes + inside + part));
      at += part;
    }
  }

  get readUnits(): ResidentUnits {
    return this.#units;
  }

  get pinnedUnits(): number {
    return this.#units.pinnedUnits;
  }

  async inspect(): Promise<FilesNow> {
    return { stamps: stampsOf(this.#metainfo), trouble: null };
  }

  async glance(): Promise<HaulError | null> {
    return null;
  }

  async sync(): Promise<readonly PieceIndex[]> {
    return [];
  }

  freeHeldWrites(): void {}

  acquit(): void {}

  hasOtherWriter(): boolean {
    return false;
  }

  openPiece(): boolean {
    throw readOnly();
  }

  fillPiece(): void {
    throw readOnly();
  }

  keepUnfinished(): Promise<void> {
    return Promise.reject(readOnly());
  }

  store(): void {
    throw readOnly();
  }

  verifyPiece(): void {
    throw readOnly();
  }

  digestBlocks(): void {
    throw readOnly();
  }

  closePiece(): void {
    throw readOnly();
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.#ending.abort();
    while (this.#running.size > 0) await this.#running.idle();
    if (this.#units.pinnedUnits > 0) throw new Error(`storage closed with ${this.#units.pinnedUnits} pinned units`);
    for (const place of this.#places) if (place !== undefined) this.#slab.give(place);
    this.#share.leave();
  }

  /** `UnitOwner`: reads the unit into its slot. */
  load(slot: number, piece: PieceIndex, begin: number, lengthBytes: number): boolean {
    const place = this.#slab.tryTake(this.#units.unitBytes, this.#metainfo.name);
    if (place instanceof HaulError) {
      const tell = (error: HaulError): void => this.onError?.(error);
      this.#running.track(Promise.reject(place), tell, tell);
      return false;
    }
    this.#places[slot] = place;
    const { region, beginBytes } = place;
    const target = region.buffer.subarray(beginBytes, beginBytes + lengthBytes);
    const finish = (error: HaulError | null): void => {
      if (error !== null) {
        this.onError?.(error);
        this.forgotten(slot);
      }
      this.#units.loaded(slot, error === null);
      this.onReadable?.();
    };
    const reading = this.#read(this.#metainfo.geometry.pieceBegin(piece) + begin, target);
    this.#running.track(reading, () => finish(null), finish);
    return true;
  }

  /** `UnitOwner`: its place can be used again at once, nobody holds it. */
  evict(slot: number): boolean {
    this.forgotten(slot);
    return true;
  }

  /** `UnitOwner` */
  forgotten(slot: number): void {
    this.#slab.give(this.#places[slot]!);
    this.#places[slot] = undefined;
  }

  /** `UnitOwner` */
  roomCame(): void {
    if (this.#readableIsScheduled) return;
    this.#readableIsScheduled = true;
    setImmediate(() => {
      this.#readableIsScheduled = false;
      if (this.#closing === null) this.onReadable?.();
    });
  }

  /** Bytes of the torrent, which may be of several files, and padding between them. */
  async #read(beginBytes: number, target: Buffer): Promise<void> {
    const { files } = this.#metainfo;
    const endBytes = beginBytes + target.length;
    const parts: { readonly file: number; readonly at: number; readonly target: Buffer }[] = [];
    for (let file = firstAt(files, beginBytes); file < files.length && files[file]!.beginBytes < endBytes; file++) {
      const { beginBytes: fileBegin, lengthBytes, isPad } = files[file]!;
      const from = Math.max(fileBegin, beginBytes);
      const part = target.subarray(from - beginBytes, Math.min(fileBegin + lengthBytes, endBytes) - beginBytes);
      if (isPad) part.fill(0);
      else if (part.length > 0) parts.push({ file, at: from - fileBegin, target: part });
    }
    await forEachConcurrently(parts, FILES_AT_ONCE, (part) => this.#readFile(part.file, part.at, part.target));
  }

  async #readFile(file: number, beginBytes: number, target: Uint8Array): Promise<void> {
    if (this.#closing !== null) throw new HaulError('CLOSED', 'the torrent is closed');
    try {
      await this.#source.read(file, beginBytes, target, this.#ending.signal);
    } catch (error) {
      throw whatFailed(error, this.#metainfo.name);
    }
  }
}

/** The last file that begins there or before. */
function firstAt(files: Metainfo['files'], beginBytes: number): number {
  let [low, high] = [0, files.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (files[middle]!.beginBytes <= beginBytes) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** What a network does wrong may pass: the swarm waits, as for a disk that is away for a moment. */
function whatFailed(error: unknown, name: string): HaulError {
  if (HaulError.is(error) && error.code !== 'NETWORK') return error;
  const why = error instanceof Error ? error.message : String(error);
  return new HaulError('IO', `read ${name}: ${why}`, { errno: HaulError.is(error) ? 'ETIMEDOUT' : 'EIO' });
}

function readOnly(): Error {
  return new Error('a seed from a source is not written');
}
