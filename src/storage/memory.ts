/**
 * The memory of an engine's storages, in one place: what may be anonymous, mapped, dirty, and the number of mappings
 * and of open files; and which space was promised.
 * Each torrent draws on all of it. A storage without an engine has a memory of its own, as large as its budgets say.
 */
import { setImmediate } from 'node:timers';
import { DEFAULTS } from '../config.js';
import type { Geometry } from '../metainfo/geometry.js';
import { memoryLimitBytes } from '../native/memory-limit.js';
import type { WorkPool } from '../work/port.js';
import { type Budgets, DEFAULT_BUDGETS, evenUnit, openPieceLimit } from './budgets.js';
import { DirtyBudget } from './dirty-budget.js';
import { FileBudget } from './file-budget.js';
import type { DataFiles } from './files.js';
import { MapBudget, mapLimit } from './map-budget.js';
import { MemoryPool } from './memory-pool.js';
import { Slab } from './slab.js';
import { SpaceLedger } from './space-ledger.js';

/**
 * Of the bytes of an engine: buffers of ours, and pages of mapped files. The rest is for sockets, tables and the heap,
 * which grow with use.
 */
const ANONYMOUS_SHARE = 1 / 8;
const MAPPED_SHARE = 11 / 16;
/** Of mapped pages, so much may be on its way out: giving back is a job of a worker. */
const LEAVING_SHARE = 1 / 8;
/** By default no more than this part of what the machine, or the container, has. */
const MACHINE_SHARE = 1 / 8;
/** Where the kernel would begin to write by itself: a tenth of the memory, of the container where there is one. */
const KERNEL_SHARE = 0.1;
/** Address space of the slab: room for places of any length side by side. */
const RESERVE_TIMES = 4;
/** Mapped files of a storage without an engine. */
const MAPS_ALONE = 16_384;
/** With units that are evicted and not back yet. */
const UNITS_ALONE = 1.25;

export interface StorageMemory {
  /** Pieces and units in buffers of our own, and where these are. */
  readonly anonymous: MemoryPool;
  readonly slab: Slab;
  /** Pieces and units in mapped files. */
  readonly mapped: MemoryPool;
  readonly dirty: DirtyBudget;
  readonly maps: MapBudget;
  readonly files: FileBudget;
  /** Space that was promised and is not reserved yet. */
  readonly space: SpaceLedger;
  /** Once a second or so. */
  tick(nowMs: number): void;
  /** When no storage uses it any more, and before the pool is closed. */
  close(): Promise<void>;
}

/** What a storage is made of. */
export interface StorageParts {
  readonly files: DataFiles;
  readonly pool: WorkPool;
  readonly budgets: Budgets;
  readonly memory: StorageMemory;
  /** Called when nothing of this storage is in the memory any more. */
  closeMemory(): Promise<void> | undefined;
}

/** @param memoryBytes what an engine may hold above its idle self; default: 256 MiB, less in a small container */
export function engineMemory(pool: WorkPool, memoryBytes?: number): StorageMemory {
  const machineBytes = memoryLimitBytes();
  const bytes = memoryBytes ?? Math.min(DEFAULTS.memoryBytes, machineBytes * MACHINE_SHARE);
  const anonymousBytes = bytes * ANONYMOUS_SHARE;
  const mappedBytes = bytes * MAPPED_SHARE;
  const defer = (run: () => void): void => void setImmediate(run);
  const slab = new Slab({
    reserveBytes: anonymousBytes * RESERVE_TIMES,
    limitBytes: anonymousBytes,
    submit: (job, done) => pool.submit(job, done),
  });
  const anonymous = new MemoryPool({ limitBytes: anonymousBytes, softBytes: anonymousBytes, defer });
  const softBytes = mappedBytes * (1 - LEAVING_SHARE);
  return together({
    anonymous,
    slab,
    mapped: new MemoryPool({ limitBytes: mappedBytes, softBytes, defer }),
    dirty: new DirtyBudget(dirtyLimit(DEFAULT_BUDGETS, machineBytes)),
    maps: new MapBudget(mapLimit()),
    files: new FileBudget(),
  });
}

/** For a storage on its own. */
export function ownMemory(pool: WorkPool, geometry: Geometry, budgets: Budgets): StorageMemory {
  const limits = { limitBytes: Number.POSITIVE_INFINITY, softBytes: Number.POSITIVE_INFINITY, defer: setImmediate };
  const unitBytes = evenUnit(geometry.pieceLengthBytes, budgets.residentUnitBytes);
  // A page more for each: places are whole pages.
  const pages = (bytes: number): number => Math.ceil(bytes / (64 * 1024)) * 64 * 1024;
  const pieces = openPieceLimit(geometry, budgets) * pages(geometry.pieceLengthBytes);
  const units = Math.ceil((budgets.readCacheBytes / unitBytes) * UNITS_ALONE + 9) * pages(unitBytes);
  const slab = new Slab({
    reserveBytes: pieces + units,
    limitBytes: Number.POSITIVE_INFINITY,
    submit: (job, done) => pool.submit(job, done),
  });
  return together({
    anonymous: new MemoryPool(limits),
    slab,
    mapped: new MemoryPool(limits),
    dirty: new DirtyBudget(dirtyLimit(budgets, memoryLimitBytes())),
    maps: new MapBudget(MAPS_ALONE),
    files: new FileBudget(),
  });
}

function dirtyLimit({ dirtyBytes, readCacheBytes }: Budgets, machineBytes: number): number {
  return Math.max(Math.min(dirtyBytes, machineBytes * KERNEL_SHARE), readCacheBytes * 2);
}

function together(parts: Omit<StorageMemory, 'space' | 'tick' | 'close'>): StorageMemory {
  const { anonymous, mapped, slab } = parts;
  return {
    ...parts,
    space: new SpaceLedger(),
    tick: (nowMs) => {
      anonymous.tick(nowMs);
      mapped.tick(nowMs);
      slab.tick();
    },
    close: () => slab.close(),
  };
}
