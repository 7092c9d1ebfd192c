/**
 * Anonymous memory for pieces and units of positional storage: one slab for all torrents of an engine.
 * Address space is plenty, pages are not: a place that was given back keeps its pages for whoever is next (zeroing a
 * page costs more than copying into it), and what nobody took for a while goes back to the system, in a worker.
 *
 *   cold (no pages) -> taken -> warm (free, with pages) -> taken again, or let go -> cold
 */
import { fromSystemError, HaulError } from '../errors.js';
import * as mmap from '../native/mmap-io.js';
import type { MemoryRange, WorkJob, WorkResult } from '../work/port.js';
import { FreeRanges } from './free-ranges.js';

/** The longest view of Node 20, in whole pages of any size. */
const LONGEST_BYTES = 2 ** 32 - 64 * 1024;
/**
 * The first region. V8 counts a view of it as memory outside its heap, and collects all of both isolates for more than
 * 16 MiB that come at once, when there is next to nothing to collect yet.
 */
const FIRST_BYTES = 16 * 2 ** 20;
/** What was not needed for so many looks, one a second, is let go. */
const LOOKS = 5;

export interface Region {
  readonly address: number;
  readonly lengthBytes: number;
  readonly buffer: Buffer;
  readonly free: FreeRanges;
}

/** Memory that is somebody's until it is given back. */
export interface Place {
  readonly region: Region;
  readonly beginBytes: number;
  readonly lengthBytes: number;
  /** All its pages are there. If not, a worker must make them so before the main thread touches any. */
  readonly isPresent: boolean;
}

export interface SlabOptions {
  /** Address space, once the first small region is not enough; there is more when that is not enough either. */
  readonly reserveBytes: number;
  /** Pages that may be held, free ones included, as far as that can be. */
  readonly limitBytes: number;
  /** Takes the job or refuses it (false), then nothing happened. */
  readonly submit: (job: WorkJob, done: (result: WorkResult) => void) => boolean;
}

export class Slab {
  readonly #options: SlabOptions;
  readonly #regions: Region[] = [];
  #takenBytes = 0;
  #warmBytes = 0;
  /** The fewest warm bytes since the last looks. */
  #leastWarm: number[] = [];
  #leastNow = 0;
  /** Jobs under way over places that are nobody's. */
  #jobs = 0;
  #onQuiet: (() => void) | null = null;

  constructor(options: SlabOptions) {
    this.#options = options;
  }

  /** Bytes in use, and free ones whose pages are still there. */
  get heldBytes(): number {
    return this.#takenBytes + this.#warmBytes;
  }

  /** @throws SystemCallError when there is no address space */
  take(bytes: number): Place {
    const page = mmap.pageSize();
    const lengthBytes = Math.ceil(bytes / page) * page;
    for (const isWarm of [true, false]) {
      for (const region of this.#regions) {
        const found = region.free.take(lengthBytes, isWarm);
        if (found !== null) return this.#taken(region, found.begin, lengthBytes, found.warmBytes);
      }
    }
    const region = this.#open(lengthBytes);
    const { begin, warmBytes } = region.free.take(lengthBytes, false)!;
    return this.#taken(region, begin, lengthBytes, warmBytes);
  }

  /** @param where whose it is to be, for the error: the system gives no memory, and nothing was taken */
  tryTake(bytes: number, where: string): Place | HaulError {
    try {
      return this.take(bytes);
    } catch (error) {
      return fromSystemError(error, 'reserve memory for', where);
    }
  }

  /** No thread may touch it afterwards. @param hasPages its pages were made present */
  give({ region, beginBytes, lengthBytes }: Place, hasPages = true): void {
    this.#takenBytes -= lengthBytes;
    if (hasPages) this.#warmBytes += lengthBytes;
    region.free.give(beginBytes, lengthBytes, hasPages);
  }

  /** Work will come: while nothing else is here a place of this length is made ready for whoever is first. */
  warm(bytes: number): void {
    if (this.heldBytes > 0 || bytes > this.#options.limitBytes) return;
    const place = this.tryTake(bytes, 'what comes first');
    // Whoever opens a piece is told, and tries again.
    if (place instanceof HaulError) return;
    const job = { kind: 'populate', forWriting: true, ranges: [placeRange(place, place.lengthBytes)] } as const;
    const isTaken = this.#options.submit(job, (result) => {
      this.give(place, result.ok);
      if (--this.#jobs === 0) this.#onQuiet?.();
    });
    if (isTaken) this.#jobs++;
    else this.give(place, false);
  }

  /** Once a second: what was free all the time goes back. */
  tick(): void {
    this.#leastWarm.push(this.#leastNow);
    this.#leastNow = this.#warmBytes;
    if (this.#leastWarm.length < LOOKS) return;
    this.letGo(Math.min(...this.#leastWarm, this.#leastNow));
    this.#leastWarm = [];
  }

  /** Gives so many free bytes back to the system, as far as there are. */
  letGo(bytes: number): void {
    const page = mmap.pageSize();
    for (let left = Math.ceil(bytes / page) * page; left > 0; ) {
      const region = this.#regions.find(({ free }) => free.warmBytes > 0);
      if (region === undefined) return;
      const { begin, lengthBytes } = region.free.takeWarm(left)!;
      const range = memoryOf(region, begin, lengthBytes);
      const isTaken = this.#options.submit({ kind: 'release', ranges: [range] }, (result) => {
        // Pages that could not be let go are there still.
        if (!result.ok) this.#warmBytes += lengthBytes;
        region.free.give(begin, lengthBytes, !result.ok);
        if (--this.#jobs === 0) this.#onQuiet?.();
      });
      if (!isTaken) {
        region.free.give(begin, lengthBytes, true);
        return;
      }
      this.#jobs++;
      this.#warmBytes -= lengthBytes;
      this.#leastNow = Math.min(this.#leastNow, this.#warmBytes);
      left -= lengthBytes;
    }
  }

  /** Nobody may touch any place from now on, in any thread. */
  async close(): Promise<void> {
    if (this.#jobs > 0) await new Promise<void>((resolve) => (this.#onQuiet = resolve));
    for (const { address, lengthBytes } of this.#regions.splice(0)) mmap.unmap(address, lengthBytes);
  }

  #taken(region: Region, beginBytes: number, lengthBytes: number, warmBytes: number): Place {
    this.#takenBytes += lengthBytes;
    this.#warmBytes -= warmBytes;
    this.#leastNow = Math.min(this.#leastNow, this.#warmBytes);
    // Places of other lengths lie about warm and were of no use.
    if (this.heldBytes > this.#options.limitBytes) this.letGo(this.heldBytes - this.#options.limitBytes);
    return { region, beginBytes, lengthBytes, isPresent: warmBytes === lengthBytes };
  }

  #open(leastBytes: number): Region {
    const page = mmap.pageSize();
    const { reserveBytes } = this.#options;
    const usualBytes = this.#regions.length === 0 ? Math.min(FIRST_BYTES, reserveBytes) : reserveBytes;
    const wanted = Math.min(LONGEST_BYTES, Math.max(usualBytes, leastBytes));
    const lengthBytes = Math.ceil(wanted / page) * page;
    const flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE;
    const address = mmap.map(lengthBytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1);
    const buffer = Buffer.from(mmap.view(address, lengthBytes));
    const region = { address, lengthBytes, buffer, free: new FreeRanges(lengthBytes) };
    this.#regions.push(region);
    return region;
  }
}

/** A part of a place, as jobs name it. */
export function placeRange({ region, beginBytes }: Place, lengthBytes: number, at = 0): MemoryRange {
  return memoryOf(region, beginBytes + at, lengthBytes);
}

function memoryOf({ address, lengthBytes }: Region, beginBytes: number, bytes: number): MemoryRange {
  return { windowAddress: address, windowBytes: lengthBytes, beginBytes, lengthBytes: bytes };
}
