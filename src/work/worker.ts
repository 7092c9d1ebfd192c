/**
 * The worker's side of the pool: takes a batch of numbers, does the slow work, gives numbers back.
 * Everything here may block, fault and hash. It knows memory addresses and descriptors, nothing about torrents.
 * Invariant: a job that fails says so in its own result; the jobs beside it are not touched.
 */
import * as crypto from 'node:crypto';
import { fstatSync, lstatSync, readSync, statSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { BLOCK_LENGTH_BYTES } from '../config.js';
import { errnoOf, SystemCallError } from '../native/errno.js';
import * as mmap from '../native/mmap-io.js';
import { isHashedTogether, type Message, sha1Memory } from './digest-memory.js';
import { digestPieces } from './digest-pieces.js';
import {
  BatchReader,
  decodeProof,
  encodeDigest,
  encodeOutcomes,
  KIND,
  LOOK_NUMBERS,
  type Outcome,
  PROOF_BYTES,
} from './job.js';
import { pagesOf } from './pages.js';
import { type FileRange, type MemoryRange, TIMES } from './port.js';
import { viewOf } from './views.js';

const MIB = 1024 * 1024;
/** A populate holds the memory map's lock; in steps of this size the main thread never waits long for it. */
const POPULATE_STEP_BYTES = MIB;
const READ_STEP_BYTES = MIB;
/** The usual read-ahead of a device. */
const WILL_NEED_STEP_BYTES = 128 * 1024;

const NO_BYTES = new Uint8Array(0);
const DONE: Outcome = { status: 0, good: true, bytes: NO_BYTES };
const NOT_GOOD: Outcome = { ...DONE, good: false };

/**
 * Hashing memory whose file was cut off behind our back is a SIGBUS; asking first makes it EFAULT, and costs some 30 µs
 * per MiB.
 */
function makePresent(ranges: readonly MemoryRange[]): void {
  for (const range of ranges) if (range.windowAddress !== 0) populateRange(range, false);
}

/** The first `lengthBytes` of the queue of ranges, which is shortened by them. */
function take(queue: MemoryRange[], lengthBytes: number): MemoryRange[] {
  const taken: MemoryRange[] = [];
  for (let left = lengthBytes; left > 0 && queue.length > 0; ) {
    const head = queue[0]!;
    const part = Math.min(left, head.lengthBytes);
    taken.push({ ...head, lengthBytes: part });
    left -= part;
    if (part === head.lengthBytes) queue.shift();
    else queue[0] = { ...head, beginBytes: head.beginBytes + part, lengthBytes: head.lengthBytes - part };
  }
  return taken;
}

function blocksOf(ranges: readonly MemoryRange[]): Message[] {
  const queue = ranges.filter((range) => range.lengthBytes > 0);
  const blocks: Message[] = [];
  while (queue.length > 0) blocks.push(take(queue, BLOCK_LENGTH_BYTES));
  return blocks;
}

/**
 * Before Linux 5.14: touch one byte of the range in each page. Own bytes only: neighbours may be written by another
 * thread now.
 */
function touch(range: MemoryRange, forWriting: boolean): void {
  const bytes = viewOf(range);
  const page = mmap.pageSize();
  const misaligned = (range.windowAddress + range.beginBytes) % page;
  for (let at = 0; at < bytes.length; at = at === 0 ? page - misaligned : at + page) {
    const value = bytes[at]!;
    if (forWriting) bytes[at] = value;
  }
}

/**
 * Asks the device for exactly these pages, and does not wait. A fault alone would read what the device's read-ahead
 * says: as much as 8 MiB around a random MiB, or, after many such faults, page by page. Longer calls than a step may be
 * cut to the read-ahead.
 */
function beginReading(ranges: readonly MemoryRange[]): void {
  for (const range of ranges) {
    const { address, lengthBytes } = pagesOf(range);
    for (let at = 0; at < lengthBytes; at += WILL_NEED_STEP_BYTES) {
      mmap.tryAdvise(address + at, Math.min(WILL_NEED_STEP_BYTES, lengthBytes - at), mmap.MADV_WILLNEED);
    }
  }
}

function populateRange(range: MemoryRange, forWriting: boolean): void {
  const advice = forWriting ? mmap.MADV_POPULATE_WRITE : mmap.MADV_POPULATE_READ;
  const { address, lengthBytes } = pagesOf(range);
  for (let at = 0; at < lengthBytes; at += POPULATE_STEP_BYTES) {
    const errno = mmap.tryAdvise(address + at, Math.min(POPULATE_STEP_BYTES, lengthBytes - at), advice);
    if (errno === constants.errno.EINVAL) {
      touch(range, forWriting);
      return;
    }
    if (errno !== 0) throw new SystemCallError('madvise', errno);
  }
}

function populate(ranges: readonly MemoryRange[], forWriting: boolean): Outcome {
  for (const range of ranges) populateRange(range, forWriting);
  return DONE;
}

/** Whoever submits chooses whole pages that nobody else uses; see `storage/windows`. */
function release(ranges: readonly MemoryRange[]): Outcome {
  for (const range of ranges) {
    mmap.advise(range.windowAddress + range.beginBytes, range.lengthBytes, mmap.MADV_DONTNEED);
  }
  return DONE;
}

/** pread of the whole range; false when the file ends before it. */
function readFully(fd: number, target: Uint8Array, beginBytes: number): boolean {
  for (let at = 0; at < target.length; ) {
    const count = readSync(fd, target, at, Math.min(target.length - at, READ_STEP_BYTES), beginBytes + at);
    if (count === 0) return false;
    at += count;
  }
  return true;
}

function read(memory: MemoryRange, files: readonly FileRange[]): Outcome {
  const target = viewOf(memory);
  let at = 0;
  for (const { fd, beginBytes, lengthBytes } of files) {
    const part = target.subarray(at, at + lengthBytes);
    if (fd < 0) part.fill(0);
    else if (!readFully(fd, part, beginBytes)) return { status: constants.errno.ENODATA, good: false, bytes: NO_BYTES };
    at += lengthBytes;
  }
  return DONE;
}

function write(memory: MemoryRange, files: readonly FileRange[], wantsTimes: boolean): Outcome {
  const source = viewOf(memory);
  const times = new BigInt64Array(wantsTimes ? files.length * TIMES : 0);
  let begin = 0;
  for (const [index, { fd, beginBytes, lengthBytes }] of files.entries()) {
    if (wantsTimes && fd >= 0) noteBegin(times, index, fd);
    for (let at = 0; fd >= 0 && at < lengthBytes; ) {
      at += writeSync(fd, source, begin + at, lengthBytes - at, beginBytes + at);
    }
    if (wantsTimes && fd >= 0) noteEnd(times, index, fd);
    begin += lengthBytes;
  }
  return wantsTimes ? { status: 0, good: true, bytes: new Uint8Array(times.buffer) } : DONE;
}

function reserve(files: readonly FileRange[], wantsTimes: boolean): Outcome {
  const times = new BigInt64Array(wantsTimes ? files.length * TIMES : 0);
  for (const [index, { fd, beginBytes, lengthBytes }] of files.entries()) {
    if (wantsTimes) noteBegin(times, index, fd);
    let errno: number;
    do errno = mmap.tryFallocate(fd, beginBytes, lengthBytes);
    while (errno === constants.errno.EINTR);
    if (errno !== 0) throw new SystemCallError('fallocate', errno);
    if (wantsTimes) noteEnd(times, index, fd);
  }
  return wantsTimes ? { status: 0, good: true, bytes: new Uint8Array(times.buffer) } : DONE;
}

/** The clock is asked on both sides: only then it is known what else went on when the file was asked. */
function noteBegin(times: BigInt64Array, index: number, fd: number): void {
  times[index * TIMES] = process.hrtime.bigint();
  times[index * TIMES + 1] = timeOf(fd);
  times[index * TIMES + 2] = process.hrtime.bigint();
}

function noteEnd(times: BigInt64Array, index: number, fd: number): void {
  times[index * TIMES + 3] = timeOf(fd);
  times[index * TIMES + 4] = process.hrtime.bigint();
}

/** When the file was changed last, in nanoseconds. */
function timeOf(fd: number): bigint {
  return fstatSync(fd, { bigint: true }).mtimeNs;
}

/** From Node.js 24 on no entry may also be something below a file. */
function whyAbsent(stat: typeof statSync, path: Buffer): number {
  try {
    stat(path);
    return constants.errno.ENOENT;
  } catch (error) {
    return errnoOf(error);
  }
}

function look(paths: readonly Buffer[], follows: boolean): Outcome {
  const numbers = new Float64Array(paths.length * LOOK_NUMBERS);
  const integers = new BigUint64Array(numbers.buffer);
  paths.forEach((path, index) => {
    const at = index * LOOK_NUMBERS;
    const stat = follows ? statSync : lstatSync;
    try {
      const found = stat(path, { throwIfNoEntry: false, bigint: true });
      if (found === undefined) numbers[at] = whyAbsent(stat, path);
      else {
        numbers[at + 1] = Number(found.mode);
        numbers[at + 2] = Number(found.size);
        integers[at + 3] = found.mtimeNs;
        integers[at + 4] = found.dev;
        integers[at + 5] = found.ino;
      }
    } catch (error) {
      numbers[at] = errnoOf(error);
    }
  });
  return { status: 0, good: true, bytes: new Uint8Array(numbers.buffer) };
}

/** A job that hashes memory: what is hashed is gathered from a whole batch. */
interface HashJob {
  readonly ranges: readonly MemoryRange[];
  readonly messages: readonly Message[];
  /** @param digests of its messages */
  readonly end: (digests: readonly Buffer[]) => Outcome;
}
type Job = HashJob | (() => Outcome);

/** @param then what is done with good bytes */
function verifyJob(ranges: readonly MemoryRange[], digest: Uint8Array, then: () => Outcome = () => DONE): HashJob {
  const end = ([found]: readonly Buffer[]): Outcome => (found!.equals(digest) ? then() : NOT_GOOD);
  return { ranges, messages: [ranges], end };
}

function digestBlocksJob(ranges: readonly MemoryRange[]): HashJob {
  const end = (digests: readonly Buffer[]): Outcome => ({ status: 0, good: true, bytes: Buffer.concat(digests) });
  return { ranges, messages: blocksOf(ranges), end };
}

/** Reads all of a job before doing any of it, so that a failure leaves the reader at the next job. */
function readJob(reader: BatchReader): Job {
  const kind = reader.next();
  const argument = reader.next();
  if (kind === KIND.verify) {
    const digest = reader.digest();
    return verifyJob(reader.memories(), digest);
  }
  if (kind === KIND['verify-write']) {
    const digest = reader.digest();
    const memory = reader.memory();
    const files = reader.files();
    // Gathered in memory of our own: nobody can have cut it off.
    return { ...verifyJob([memory], digest, () => write(memory, files, argument === 1)), ranges: [] };
  }
  if (kind === KIND.read || kind === KIND.write) {
    const memory = reader.memory();
    const files = reader.files();
    return () => (kind === KIND.read ? read(memory, files) : write(memory, files, argument === 1));
  }
  if (kind === KIND.reserve) {
    const files = reader.files();
    return () => reserve(files, argument === 1);
  }
  if (kind === KIND['digest-pieces']) {
    const files = reader.pathRanges();
    return () => ({ status: 0, good: true, bytes: digestPieces(files, argument) });
  }
  if (kind === KIND.look) {
    const paths = reader.paths();
    return () => look(paths, argument === 1);
  }
  const ranges = reader.memories();
  if (kind === KIND.populate) {
    if (argument === 0) beginReading(ranges);
    return () => populate(ranges, argument === 1);
  }
  if (kind === KIND['digest-blocks']) return digestBlocksJob(ranges);
  if (kind === KIND.release) return () => release(ranges);
  throw new RangeError(`no such job: ${kind}`);
}

/**
 * Hashes known bytes, in mapped memory where that is needed: says that all this thread works with is there.
 * @throws when it is not
 */
function prove(needsMemory: boolean): Float64Array {
  if (!needsMemory) return encodeDigest(crypto.createHash('sha1').update(PROOF_BYTES).digest());
  const lengthBytes = mmap.pageSize();
  const flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS;
  const address = mmap.map(lengthBytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1);
  try {
    const bytes = Buffer.from(mmap.view(address, lengthBytes), 0, PROOF_BYTES.length);
    bytes.set(PROOF_BYTES);
    return encodeDigest(crypto.createHash('sha1').update(bytes).digest());
  } finally {
    mmap.unmap(address, lengthBytes);
  }
}

function failed(error: unknown): Outcome {
  return { status: errnoOf(error), good: false, bytes: NO_BYTES };
}

function attempt(job: () => Outcome): Outcome {
  try {
    return job();
  } catch (error) {
    return failed(error);
  }
}

/**
 * Memory is made present just before it is hashed: where nothing guards it (no native library), a file that is cut off
 * in between ends the process.
 */
function hashAll(jobs: readonly [index: number, job: HashJob][], outcomes: Outcome[]): void {
  const messageCount = jobs.reduce((sum, [, { messages }]) => sum + messages.length, 0);
  if (isHashedTogether(messageCount)) {
    hashTogether(jobs, outcomes);
    return;
  }
  for (const [index, { ranges, messages, end }] of jobs) {
    outcomes[index] = attempt(() => {
      makePresent(ranges);
      return end(sha1Memory(messages));
    });
  }
}

/** All memory is made present before any of it is hashed; a job whose memory cannot be is left out. */
function hashTogether(jobs: readonly [index: number, job: HashJob][], outcomes: Outcome[]): void {
  const present: [number, HashJob][] = [];
  for (const [index, job] of jobs) {
    try {
      makePresent(job.ranges);
      present.push([index, job]);
    } catch (error) {
      outcomes[index] = failed(error);
    }
  }
  try {
    const digests = sha1Memory(present.flatMap(([, { messages }]) => messages));
    let at = 0;
    for (const [index, { messages, end }] of present) {
      const own = digests.slice(at, at + messages.length);
      outcomes[index] = attempt(() => end(own));
      at += messages.length;
    }
  } catch {
    // One of them is not as it must be: each alone.
    for (const [index, { messages, end }] of present) outcomes[index] = attempt(() => end(sha1Memory(messages)));
  }
}

/** Piscina calls this with each batch. */
export default function run(numbers: Float64Array): Float64Array {
  const proof = decodeProof(numbers);
  if (proof !== null) return prove(proof.needsMemory);
  const reader = new BatchReader(numbers);
  const outcomes: Outcome[] = [];
  const hashing: [number, HashJob][] = [];
  // All are read before the first is done: what they want from the device is fetched at the same time.
  const jobs = Array.from({ length: reader.next() }, () => readJob(reader));
  for (const [index, job] of jobs.entries()) {
    if (typeof job === 'function') outcomes[index] = attempt(job);
    else hashing.push([index, job]);
  }
  hashAll(hashing, outcomes);
  return encodeOutcomes(outcomes);
}
