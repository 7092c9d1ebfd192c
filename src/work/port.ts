/**
 * The work pool as the rest of the program sees it: batches of numbers in, numbers out.
 * `room` travels back to the scheduler: when it is 0, nothing more may be submitted.
 */
import type { HaulError } from '../errors.js';

/**
 * A range of memory: `windowAddress`/`windowBytes` name the mapping (one view per window and thread), begin and length
 * lie inside.
 */
export interface MemoryRange {
  readonly windowAddress: number;
  readonly windowBytes: number;
  readonly beginBytes: number;
  readonly lengthBytes: number;
}

/** A range of an open file; `fd` is valid in every thread of the process, -1 means padding. */
export interface FileRange {
  readonly fd: number;
  readonly beginBytes: number;
  readonly lengthBytes: number;
}

/** Which file a path led to when it was looked at. Numbers of 64 bits. */
export interface FileIdentity {
  readonly device: bigint;
  /** 0 where the file system gives a file new numbers at will. */
  readonly inode: bigint;
}

/** A range of a file that the worker opens by itself; `path` null means zeros. */
export interface PathRange {
  /** The file that must be there; trouble ESTALE when it is another one. Default: any. */
  readonly identity?: FileIdentity | null;
  readonly path: string | null;
  readonly beginBytes: number;
  readonly lengthBytes: number;
}

/** Of each file range of a job that wants times. */
export const TIMES = 5;

export type WorkJob =
  /** Makes pages present (MADV_POPULATE_WRITE or _READ) so that no other thread faults on them. */
  | { readonly kind: 'populate'; readonly forWriting: boolean; readonly ranges: readonly MemoryRange[] }
  /**
   * SHA-1 over the concatenated ranges, compared with `digest` (20 bytes). Pad bytes (BEP 47) are `zeroBytes` ranges
   * with windowAddress 0.
   */
  | { readonly kind: 'verify'; readonly ranges: readonly MemoryRange[]; readonly digest: Uint8Array }
  /** fallocate(2) of each range, keeping what is there. Times as for 'write'. */
  | { readonly kind: 'reserve'; readonly files: readonly FileRange[]; readonly wantsTimes?: boolean }
  /** SHA-1 of every 16 KiB block of the concatenated ranges. Result: 20 bytes per block. */
  | { readonly kind: 'digest-blocks'; readonly ranges: readonly MemoryRange[] }
  /** Gives page-table entries back (MADV_DONTNEED); data stays in the page cache. */
  | { readonly kind: 'release'; readonly ranges: readonly MemoryRange[] }
  /** pread into memory / pwrite from memory: `files` and `memory` have equal total length. */
  | { readonly kind: 'read'; readonly files: readonly FileRange[]; readonly memory: MemoryRange }
  /**
   * With `wantsTimes` the result holds TIMES 64-bit integers for each file range, in nanoseconds: the monotonic clock,
   * the file's time of change, the clock, and after the write the time of change and the clock.
   */
  | {
      readonly kind: 'write';
      readonly files: readonly FileRange[];
      readonly memory: MemoryRange;
      readonly wantsTimes?: boolean;
    }
  /**
   * 'verify' of the memory, and 'write' of it when it is good: it is in the processor's cache still. Without times no
   * bytes.
   */
  | {
      readonly kind: 'verify-write';
      readonly files: readonly FileRange[];
      readonly memory: MemoryRange;
      readonly digest: Uint8Array;
      readonly wantsTimes?: boolean;
    }
  /**
   * SHA-1 of consecutive pieces: piece boundaries every `pieceLengthBytes` of the concatenated ranges. Files are opened
   * one at a time. Result: 20 bytes per piece, a digest or what `troubleOf` understands.
   */
  | { readonly kind: 'digest-pieces'; readonly files: readonly PathRange[]; readonly pieceLengthBytes: number }
  /** stat (`follows` links) or lstat of each path. Result: LOOK_NUMBERS doubles for each. */
  | { readonly kind: 'look'; readonly paths: readonly string[]; readonly follows: boolean }
  /** fdatasync of each descriptor. */
  | { readonly kind: 'sync'; readonly fds: readonly number[] };

export type WorkResult =
  /** `good` is meaningful for 'verify' and 'verify-write' only; `bytes` for the digest jobs, 'look' and times. */
  { readonly ok: true; readonly good: boolean; readonly bytes: Uint8Array } | WorkFailure;

export interface WorkFailure {
  readonly ok: false;
  /** A name like 'ENOSPC'. */
  readonly errno: string;
  /** A verb like 'write'. */
  readonly operation: string;
  /** The pool is at fault, not the job: what to tell in place of the errno. */
  readonly error?: HaulError;
}

export interface WorkPool {
  readonly threadCount: number;
  /** Jobs that may still be submitted now. */
  readonly room: number;
  /**
   * Queues a job; `done` is called later on the main thread, never synchronously, exactly once. Returns false when
   * there is no room.
   */
  submit(job: WorkJob, done: (result: WorkResult) => void): boolean;
  /** Work is about to come: threads start now, not with the first job. */
  warmUp?(): void;
  /**
   * For who was refused: `listener` is called once when there is room, never synchronously; who asked first is told
   * first. Returns what withdraws it.
   */
  onceRoom(listener: () => void): () => void;
  close(): Promise<void>;
}
