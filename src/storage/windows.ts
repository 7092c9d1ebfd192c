/**
 * Mapped windows: made when first needed, kept while somebody holds them, unmapped least recently used first.
 * Invariant: a window with holders is mapped; nobody but its holders touches its memory. While it is mapped it is
 * guarded, where there is a guard: what then holds zeros in the place of a file that was cut off is told by `loss`.
 * The only file that calls mmap for data files; it knows neither pieces nor jobs.
 */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { DEFAULTS } from '../config.js';
import { fromSystemError, HaulError } from '../errors.js';
import { type SigbusGuard, sigbusGuard, UNGUARDED } from '../native/guard.js';
import * as mmap from '../native/mmap-io.js';
import { type ExtentTable, NO_WINDOW } from './extents.js';
import type { MapBudget, MapHolder } from './map-budget.js';

export interface WindowFiles {
  path(file: number): string;
  /** @throws HaulError when this is not the file it was */
  checkOpen(file: number, fd: number): void;
}

/** Memory that was no memory of its file any more when it was touched. */
export interface Loss {
  readonly extent: number;
  /** Offset in the file. */
  readonly fileOffset: number;
}

const NO_FAULTS = new Uint32Array(1);
/** Each one asked about costs the main thread two system calls, some 3 µs: beyond that a job of a worker is cheaper. */
const EXTENTS_ASKED = 16;

export interface WindowLimits {
  /** Windows of this torrent that are kept. */
  readonly windowCount?: number;
  /** Mappings of all torrents. */
  readonly maps: MapBudget;
  /** Default: that of the process, null where there is none. */
  readonly guard?: SigbusGuard | null;
}

export class Windows implements MapHolder {
  /** One element, which changes when memory was lost anywhere in the process: then ask `loss`. */
  readonly faults: Uint32Array;
  readonly #extents: ExtentTable;
  readonly #files: WindowFiles;
  readonly #forWriting: boolean;
  readonly #limit: number;
  readonly #maps: MapBudget;
  /** By window; undefined where not mapped. */
  readonly #buffers: (Buffer | undefined)[];
  readonly #addresses: Float64Array;
  readonly #holders: Int32Array;
  readonly #guard: SigbusGuard | null;
  /** Their numbers there, or UNGUARDED. */
  readonly #guarded: Int32Array;
  /** 1: all its files are ours, so that the kernel tells what of them is in memory. */
  readonly #isOurs: Uint8Array;
  #loss: Loss | null = null;
  /** Mapped windows without holders, least recently used first. */
  readonly #idle = new Set<number>();
  #mappedCount = 0;
  #mapCount = 0;

  constructor(extents: ExtentTable, files: WindowFiles, forWriting: boolean, limits: WindowLimits) {
    this.#extents = extents;
    this.#files = files;
    this.#forWriting = forWriting;
    this.#limit = limits.windowCount ?? DEFAULTS.windowCount;
    this.#maps = limits.maps;
    this.#buffers = new Array<Buffer | undefined>(extents.windowCount);
    this.#addresses = new Float64Array(extents.windowCount);
    this.#holders = new Int32Array(extents.windowCount);
    this.#guard = limits.guard === undefined ? sigbusGuard() : limits.guard;
    this.#guarded = new Int32Array(extents.windowCount).fill(UNGUARDED);
    this.#isOurs = new Uint8Array(extents.windowCount);
    this.faults = this.#guard?.total ?? NO_FAULTS;
  }

  get mappedCount(): number {
    return this.#mappedCount;
  }

  /** The memory of a held window. */
  buffer(window: number): Buffer {
    return this.#buffers[window]!;
  }

  address(window: number): number {
    return this.#addresses[window]!;
  }

  /**
   * All of a torrent range in held windows is in the page cache: whoever touches it waits for no device. (Unless it
   * leaves just then; what a worker made present may do so too.) False when it is not known, or would cost too much to
   * find out.
   */
  isInMemory(begin: number, lengthBytes: number): boolean {
    const extents = this.#extents;
    const end = begin + lengthBytes;
    const last = extents.find(end - 1);
    let extent = extents.find(begin);
    if (last - extent >= EXTENTS_ASKED) return false;
    for (let at = begin; at < end; extent++) {
      const inside = at - extents.begin[extent]!;
      const part = Math.min(end - at, extents.lengthBytes[extent]! - inside);
      if (extents.window[extent] !== NO_WINDOW && !this.#isPartInMemory(extent, inside, part)) return false;
      at += part;
    }
    return true;
  }

  #isPartInMemory(extent: number, inside: number, lengthBytes: number): boolean {
    const { window, windowBegin, file, fileBegin } = this.#extents;
    const of = window[extent]!;
    if (this.#isOurs[of] === 0) return false;
    if (!mmap.isAllInCore(this.#addresses[of]! + windowBegin[extent]! + inside, lengthBytes)) return false;
    // Where a file was cut off a long folio may stay behind, which is memory of nothing.
    return sizeOf(this.#files.path(file[extent]!)) >= fileBegin[extent]! + inside + lengthBytes;
  }

  /** True when these windows can be held without exceeding the number of mappings. */
  hasRoomFor(windows: readonly number[]): boolean {
    let maps = 0;
    for (const window of windows) if (this.#buffers[window] === undefined) maps += this.#mapsOf(window);
    return this.#maps.hasRoomFor(maps, this);
  }

  get mapCount(): number {
    return this.#mapCount;
  }

  unmapIdle(count: number): void {
    const most = this.#mapCount - count;
    while (this.#mapCount > most && this.#idle.size > 0) this.#unmap(this.#idle.values().next().value!);
  }

  /** Maps what is not mapped yet and holds all of it, or none. @throws HaulError */
  hold(windows: readonly number[]): void {
    let held = 0;
    try {
      for (const window of windows) {
        if (this.#buffers[window] === undefined) this.#map(window);
        if (this.#holders[window]!++ === 0) this.#isNotIdle(window);
        held++;
      }
    } catch (error) {
      this.drop(windows.slice(0, held));
      throw error;
    }
  }

  drop(windows: readonly number[]): void {
    for (const window of windows) {
      if (--this.#holders[window]! > 0) continue;
      this.#idle.add(window);
      if (this.#idle.size === 1) this.#maps.idleChanged(this, true);
    }
    while (this.#mappedCount > this.#limit && this.#idle.size > 0) this.#unmap(this.#idle.values().next().value!);
    if (this.#maps.count > this.#maps.limit) this.unmapIdle(this.#maps.count - this.#maps.limit);
  }

  #isNotIdle(window: number): void {
    if (this.#idle.delete(window) && this.#idle.size === 0) this.#maps.idleChanged(this, false);
  }

  /** Unmaps everything. Only when no thread touches any of it any more. */
  close(): void {
    this.#buffers.forEach((buffer, window) => {
      if (buffer !== undefined) this.#unmap(window);
    });
  }

  /** The first loss in these windows, of those that were unmapped since as well; null: none. */
  loss(): Loss | null {
    for (let window = 0; window < this.#guarded.length && this.#loss === null; window++) this.#look(window);
    return this.#loss;
  }

  #look(window: number): void {
    const guarded = this.#guarded[window]!;
    if (guarded === UNGUARDED || this.#loss !== null || this.#guard!.faults(guarded) === 0) return;
    const at = this.#guard!.firstFault(guarded);
    const first = this.#extents.windowFirst[window]!;
    let extent = first;
    for (let next = first; next < first + this.#extentCount(window); next++) {
      if (this.#extents.window[next] === window && this.#extents.windowBegin[next]! <= at) extent = next;
    }
    this.#loss = { extent, fileOffset: this.#extents.fileBegin[extent]! + at - this.#extents.windowBegin[extent]! };
  }

  #extentCount(window: number): number {
    return (this.#extents.windowFirst[window + 1] ?? this.#extents.extentCount) - this.#extents.windowFirst[window]!;
  }

  /** One for each file, and what is left of the reserved address space. */
  #mapsOf(window: number): number {
    return this.#extentCount(window) + 1;
  }

  #mapped(window: number, sign: 1 | -1): void {
    this.#mappedCount += sign;
    this.#mapCount += sign * this.#mapsOf(window);
    this.#maps.changed(sign * this.#mapsOf(window));
  }

  #unmap(window: number): void {
    this.#isNotIdle(window);
    this.#buffers[window] = undefined;
    this.#look(window);
    if (this.#guarded[window] !== UNGUARDED) this.#guard!.remove(this.#guarded[window]!);
    this.#guarded[window] = UNGUARDED;
    mmap.unmap(this.#addresses[window]!, this.#extents.windowBytes[window]!);
    this.#mapped(window, -1);
  }

  /** Reserves the window's address space, then puts each file in its place there. What fails leaves nothing mapped. */
  #map(window: number): void {
    const lengthBytes = this.#extents.windowBytes[window]!;
    const reserve = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE;
    const first = this.#extents.windowFirst[window]!;
    this.#isOurs[window] = 1;
    let address = 0;
    let buffer: Buffer;
    try {
      address = mmap.map(lengthBytes, mmap.PROT_NONE, reserve, -1);
      for (let extent = first; extent < first + this.#extentCount(window); extent++) {
        if (this.#extents.window[extent] === window) this.#mapExtent(extent, address);
      }
      buffer = Buffer.from(mmap.view(address, lengthBytes));
      // Last: what fails has not been shown to the guard.
      this.#guarded[window] = this.#guard?.add(address, lengthBytes) ?? UNGUARDED;
    } catch (error) {
      if (address !== 0) mmap.unmap(address, lengthBytes);
      throw fromSystemError(error, 'map', this.#files.path(this.#extents.file[first]!));
    }
    this.#addresses[window] = address;
    this.#buffers[window] = buffer;
    this.#mapped(window, 1);
  }

  #mapExtent(extent: number, address: number): void {
    const { file, fileBegin, lengthBytes, windowBegin } = this.#extents;
    const path = this.#files.path(file[extent]!);
    // A pipe in the place of the file must not hold up the main thread.
    const flags =
      (this.#forWriting ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = openSync(path, flags);
    try {
      this.#files.checkOpen(file[extent]!, fd);
      const { size, uid } = fstatSync(fd);
      if (uid !== process.geteuid?.()) this.#isOurs[this.#extents.window[extent]!] = 0;
      // A mapping past the end of its file is a SIGBUS waiting to happen.
      if (size < fileBegin[extent]! + lengthBytes[extent]!) {
        throw new HaulError('BAD_DATA', `${path} was cut off while it was in use`, { path });
      }
      const protection = this.#forWriting ? mmap.PROT_READ | mmap.PROT_WRITE : mmap.PROT_READ;
      const shared = mmap.MAP_SHARED | mmap.MAP_FIXED;
      mmap.map(lengthBytes[extent]!, protection, shared, fd, fileBegin[extent]!, address + windowBegin[extent]!);
    } finally {
      closeSync(fd);
    }
  }
}

/** Bytes; 0 where it cannot be known: whoever reads the data finds out why. */
function sizeOf(path: string): number {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  } catch {
    return 0;
  }
}
