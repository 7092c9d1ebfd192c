/**
 * The layout of jobs and results on their way over the thread border: one Float64Array each way, no objects.
 *
 *   batch    jobs | job job job …
 *   job      kind, a, then by kind:
 *              memory list   n | (windowAddress, windowBytes, begin, length) × n  (populate, release, digest-blocks)
 *              verify        digest (20 bytes in 3 doubles) | memory list
 *              file list     n | (fd, begin, length) × n
 *              read, write   windowAddress, windowBytes, begin, length | file list
 *              reserve       file list
 *              verify-write  digest | windowAddress, windowBytes, begin, length | file list
 *              digest-pieces n | (begin, length, device, inode, path) × n
 *              look          n | path × n
 *   path     byteCount, or -1 for none | UTF-8, padded to 8
 *   results  (status, good, byteCount | bytes, padded to 8) for each job, in order
 *
 *   proof    -1, needsMemory; answered with the digest of PROOF_BYTES (3 doubles), or an exception
 *
 * `a` is forWriting for populate, pieceLengthBytes for digest-pieces, follows for look, wantsTimes for write,
 * verify-write and reserve, else 0. `status` is 0 or an errno. Device and inode are 64-bit integers in the place of a
 * double; inode 0: any file will do.
 * Invariant: what `encodeBatch` writes, the readers here read to the last number.
 */

import { errnoName } from '../native/errno.js';
import type { FileIdentity, FileRange, MemoryRange, PathRange, WorkJob, WorkResult } from './port.js';

/** A look at a path: errno or 0, mode, length; as 64-bit integers time of change in nanoseconds, device, inode. */
export const LOOK_NUMBERS = 6;
/** Bytes of a SHA-1 digest. */
export const DIGEST_BYTES = 20;
const DIGEST_NUMBERS = 3;

export const KIND = {
  populate: 1,
  verify: 2,
  'digest-blocks': 3,
  release: 4,
  read: 5,
  write: 6,
  'digest-pieces': 7,
  sync: 8,
  look: 9,
  'verify-write': 10,
  reserve: 11,
} as const satisfies Record<WorkJob['kind'], number>;

/** A batch of this many jobs is the proof of a new worker. */
const PROOF_JOBS = -1;
/** What a new worker hashes, and its SHA-1 (the first vector of FIPS 180). */
export const PROOF_BYTES = Buffer.from('abc');
const PROOF_DIGEST = Buffer.from('a9993e364706816aba3e25717850c26c9cd0d89d', 'hex');

export function encodeProof(needsMemory: boolean): Float64Array {
  return Float64Array.of(PROOF_JOBS, needsMemory ? 1 : 0);
}

/** Null for an ordinary batch. */
export function decodeProof(numbers: Float64Array): { readonly needsMemory: boolean } | null {
  return numbers[0] === PROOF_JOBS ? { needsMemory: numbers[1] === 1 } : null;
}

export function encodeDigest(digest: Uint8Array): Float64Array {
  const numbers = new Float64Array(DIGEST_NUMBERS);
  new Uint8Array(numbers.buffer).set(digest);
  return numbers;
}

/** True when the answer is the digest that a proof gives. */
export function isProof(answer: unknown): boolean {
  if (!(answer instanceof Float64Array) || answer.byteLength < DIGEST_BYTES) return false;
  return PROOF_DIGEST.equals(new Uint8Array(answer.buffer, answer.byteOffset, DIGEST_BYTES));
}

/** The verb of a failed job, for error messages. */
export const OPERATIONS: Readonly<Record<WorkJob['kind'], string>> = {
  populate: 'prefault',
  verify: 'hash',
  'digest-blocks': 'hash',
  release: 'release',
  read: 'read',
  write: 'write',
  'verify-write': 'write',
  reserve: 'reserve space for',
  'digest-pieces': 'read',
  sync: 'sync',
  look: 'look at',
};

/**
 * What looking at a file counts for in a batch: some microseconds when the file system knows it, far more when it must
 * be fetched.
 */
const LOOK_WORK_BYTES = 32 * 1024;

function sumLengths(ranges: readonly { readonly lengthBytes: number }[]): number {
  let sum = 0;
  for (const range of ranges) sum += range.lengthBytes;
  return sum;
}

/**
 * Bytes a job reads, hashes or faults: what a batch is bounded by. A populated byte counts as a third of a hashed one.
 */
export function workBytes(job: WorkJob): number {
  switch (job.kind) {
    case 'populate':
      return sumLengths(job.ranges) / 3;
    case 'reserve':
      return sumLengths(job.files) / 3;
    case 'release':
    case 'sync':
      return 0;
    case 'read':
    case 'write':
      return job.memory.lengthBytes / 2;
    case 'verify-write':
      return job.memory.lengthBytes * 1.5;
    case 'digest-pieces':
      return sumLengths(job.files);
    case 'look':
      return job.paths.length * LOOK_WORK_BYTES;
    default:
      return sumLengths(job.ranges);
  }
}

function pathSize(path: string | null): number {
  return 1 + (path === null ? 0 : Math.ceil(Buffer.byteLength(path) / 8));
}

function sizeOf(job: WorkJob): number {
  switch (job.kind) {
    case 'verify':
      return 3 + DIGEST_NUMBERS + job.ranges.length * 4;
    case 'read':
    case 'write':
      return 7 + job.files.length * 3;
    case 'reserve':
      return 3 + job.files.length * 3;
    case 'verify-write':
      return 7 + DIGEST_NUMBERS + job.files.length * 3;
    case 'digest-pieces':
      return job.files.reduce((size, { path }) => size + 4 + pathSize(path), 3);
    case 'look':
      return job.paths.reduce((size, path) => size + pathSize(path), 3);
    case 'sync':
      return 2;
    default:
      return 3 + job.ranges.length * 4;
  }
}

class Writer {
  readonly numbers: Float64Array;
  readonly bytes: Buffer;
  readonly #integers: BigUint64Array;
  at = 0;

  constructor(length: number) {
    this.numbers = new Float64Array(length);
    this.bytes = Buffer.from(this.numbers.buffer);
    this.#integers = new BigUint64Array(this.numbers.buffer);
  }

  put(value: number): void {
    this.numbers[this.at++] = value;
  }

  identity(identity: FileIdentity | null): void {
    this.#integers[this.at++] = identity?.device ?? 0n;
    this.#integers[this.at++] = identity?.inode ?? 0n;
  }

  memory(range: MemoryRange): void {
    this.put(range.windowAddress);
    this.put(range.windowBytes);
    this.put(range.beginBytes);
    this.put(range.lengthBytes);
  }

  memories(ranges: readonly MemoryRange[]): void {
    this.put(ranges.length);
    for (const range of ranges) this.memory(range);
  }

  files(ranges: readonly FileRange[]): void {
    this.put(ranges.length);
    for (const range of ranges) {
      this.put(range.fd);
      this.put(range.beginBytes);
      this.put(range.lengthBytes);
    }
  }

  path(path: string | null): void {
    const byteCount = path === null ? 0 : this.bytes.write(path, (this.at + 1) * 8);
    this.put(path === null ? -1 : byteCount);
    this.at += Math.ceil(byteCount / 8);
  }

  digest(digest: Uint8Array): void {
    this.bytes.set(digest, this.at * 8);
    this.at += DIGEST_NUMBERS;
  }
}

function encodeJob(job: WorkJob, out: Writer): void {
  out.put(KIND[job.kind]);
  switch (job.kind) {
    case 'populate':
      out.put(job.forWriting ? 1 : 0);
      out.memories(job.ranges);
      break;
    case 'verify':
      out.put(0);
      out.digest(job.digest);
      out.memories(job.ranges);
      break;
    case 'digest-blocks':
    case 'release':
      out.put(0);
      out.memories(job.ranges);
      break;
    case 'read':
    case 'write':
      out.put(job.kind === 'write' && job.wantsTimes === true ? 1 : 0);
      out.memory(job.memory);
      out.files(job.files);
      break;
    case 'reserve':
      out.put(job.wantsTimes === true ? 1 : 0);
      out.files(job.files);
      break;
    case 'verify-write':
      out.put(job.wantsTimes === true ? 1 : 0);
      out.digest(job.digest);
      out.memory(job.memory);
      out.files(job.files);
      break;
    case 'digest-pieces':
      out.put(job.pieceLengthBytes);
      out.put(job.files.length);
      for (const { beginBytes, lengthBytes, path, identity } of job.files) {
        out.put(beginBytes);
        out.put(lengthBytes);
        out.identity(identity ?? null);
        out.path(path);
      }
      break;
    case 'look':
      out.put(job.follows ? 1 : 0);
      out.put(job.paths.length);
      for (const path of job.paths) out.path(path);
      break;
    case 'sync':
      out.put(0);
      break;
  }
}

export function encodeBatch(jobs: readonly WorkJob[]): Float64Array {
  let size = 1;
  for (const job of jobs) size += sizeOf(job);
  const out = new Writer(size);
  out.put(jobs.length);
  for (const job of jobs) encodeJob(job, out);
  return out.numbers;
}

/** As the worker sees it: the path is in the memory of the batch. */
export interface RawPathRange extends Omit<PathRange, 'path'> {
  readonly path: Buffer | null;
  readonly identity: FileIdentity | null;
}

/** Reads a batch number by number, in the order the writer put them. */
export class BatchReader {
  readonly #numbers: Float64Array;
  readonly #bytes: Uint8Array;
  readonly #integers: BigUint64Array;
  #at = 0;

  constructor(numbers: Float64Array) {
    this.#numbers = numbers;
    this.#bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    this.#integers = new BigUint64Array(numbers.buffer, numbers.byteOffset, numbers.length);
  }

  next(): number {
    const value = this.#numbers[this.#at++];
    if (value === undefined) throw new RangeError('batch ends inside a job');
    return value;
  }

  memory(): MemoryRange {
    return { windowAddress: this.next(), windowBytes: this.next(), beginBytes: this.next(), lengthBytes: this.next() };
  }

  memories(): MemoryRange[] {
    return Array.from({ length: this.next() }, () => this.memory());
  }

  files(): FileRange[] {
    return Array.from({ length: this.next() }, () => ({
      fd: this.next(),
      beginBytes: this.next(),
      lengthBytes: this.next(),
    }));
  }

  path(): Buffer | null {
    const byteCount = this.next();
    if (byteCount < 0) return null;
    const begin = this.#bytes.byteOffset + this.#at * 8;
    this.#at += Math.ceil(byteCount / 8);
    return Buffer.from(this.#bytes.buffer, begin, byteCount);
  }

  identity(): FileIdentity | null {
    const device = this.#integers[this.#at++] ?? 0n;
    const inode = this.#integers[this.#at++] ?? 0n;
    return inode === 0n ? null : { device, inode };
  }

  paths(): Buffer[] {
    return Array.from({ length: this.next() }, () => this.path()!);
  }

  pathRanges(): RawPathRange[] {
    return Array.from({ length: this.next() }, () => ({
      beginBytes: this.next(),
      lengthBytes: this.next(),
      identity: this.identity(),
      path: this.path(),
    }));
  }

  digest(): Uint8Array {
    const begin = this.#at * 8;
    this.#at += DIGEST_NUMBERS;
    return this.#bytes.subarray(begin, begin + DIGEST_BYTES);
  }
}

/** What the worker says about one job. */
export interface Outcome {
  /** 0 or a positive errno. */
  readonly status: number;
  readonly good: boolean;
  readonly bytes: Uint8Array;
}

export function encodeOutcomes(outcomes: readonly Outcome[]): Float64Array {
  let size = 0;
  for (const outcome of outcomes) size += 3 + Math.ceil(outcome.bytes.length / 8);
  const out = new Writer(size);
  for (const { status, good, bytes } of outcomes) {
    out.put(status);
    out.put(good ? 1 : 0);
    out.put(bytes.length);
    out.bytes.set(bytes, out.at * 8);
    out.at += Math.ceil(bytes.length / 8);
  }
  return out.numbers;
}

const NO_BYTES = new Uint8Array(0);
/** Most results say just this: one shared object. */
const GOOD: WorkResult = { ok: true, good: true, bytes: NO_BYTES };
const NOT_GOOD: WorkResult = { ok: true, good: false, bytes: NO_BYTES };

/** Calls `each` with the result of every job of the batch, in order. */
export function decodeOutcomes(
  jobs: readonly WorkJob[],
  numbers: Float64Array,
  each: (index: number, result: WorkResult) => void,
): void {
  let at = 0;
  jobs.forEach((job, index) => {
    const status = numbers[at]!;
    const good = numbers[at + 1] === 1;
    const byteCount = numbers[at + 2]!;
    const begin = numbers.byteOffset + (at + 3) * 8;
    at += 3 + Math.ceil(byteCount / 8);
    if (status !== 0) each(index, { ok: false, errno: errnoName(status), operation: OPERATIONS[job.kind] });
    else if (byteCount === 0) each(index, good ? GOOD : NOT_GOOD);
    else each(index, { ok: true, good, bytes: new Uint8Array(numbers.buffer, begin, byteCount) });
  });
}
