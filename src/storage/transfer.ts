/**
 * Moves a torrent range between memory and its files with pread and pwrite in the pool, some files at a time. Reserves
 * space for them, too.
 */
import { endianness } from 'node:os';
import type { FileLayout, FileSegment } from '../metainfo/layout.js';
import { type FileRange, type MemoryRange, TIMES, type WorkJob, type WorkResult } from '../work/port.js';
import { jobFailure } from './failures.js';
import type { DataFiles } from './files.js';
import type { Jobs } from './jobs.js';
import type { WriteTimes } from './other-writers.js';

/** Descriptors held by one job: a piece may span thousands of files. */
const FILES_PER_JOB = 64;

type JobOf = (files: FileRange[], wantsTimes: boolean) => WorkJob;

const IS_LITTLE_ENDIAN = endianness() === 'LE';

export class Transfer {
  readonly #files: DataFiles;
  readonly #layout: FileLayout;
  readonly #jobs: Jobs;

  constructor(files: DataFiles, layout: FileLayout, jobs: Jobs) {
    this.#files = files;
    this.#layout = layout;
    this.#jobs = jobs;
  }

  /** @param memory as long as the range that begins at this torrent offset. @throws HaulError */
  async run(kind: 'read' | 'write', begin: number, memory: MemoryRange): Promise<void> {
    await this.#each(this.#layout.segments(begin, memory.lengthBytes), memory, (segments, part) =>
      kind === 'read'
        ? this.#move(segments, (files) => ({ kind, files, memory: part }))
        : this.#change(segments, (files, wantsTimes) => ({ kind, files, memory: part, wantsTimes })),
    );
  }

  /**
   * Writes the range when its SHA-1 is `digest` (20 bytes). Resolves with whether it was.
   * @throws HaulError
   */
  async verifyAndWrite(begin: number, memory: MemoryRange, digest: Uint8Array): Promise<boolean> {
    const segments = this.#layout.segments(begin, memory.lengthBytes);
    if (segments.length <= FILES_PER_JOB)
      return this.#change(segments, (files, wantsTimes) => {
        return { kind: 'verify-write', files, memory, digest, wantsTimes };
      });
    const job: WorkJob = { kind: 'verify', ranges: [memory], digest };
    const result = await this.#submit(job);
    if (!result.ok) throw jobFailure(result, this.#files.output, 0);
    if (result.good) await this.run('write', begin, memory);
    return result.good;
  }

  /** Reserves space for parts of a file. @throws HaulError */
  async reserve(parts: readonly FileSegment[]): Promise<void> {
    await this.#change(parts, (files, wantsTimes) => ({ kind: 'reserve', files, wantsTimes }));
  }

  async #each(
    segments: readonly FileSegment[],
    memory: MemoryRange,
    move: (segments: readonly FileSegment[], part: MemoryRange) => Promise<unknown>,
  ): Promise<void> {
    let beginBytes = memory.beginBytes;
    for (let at = 0; at < segments.length; at += FILES_PER_JOB) {
      const part = segments.slice(at, at + FILES_PER_JOB);
      const lengthBytes = part.reduce((sum, segment) => sum + segment.lengthBytes, 0);
      await move(part, { ...memory, beginBytes, lengthBytes });
      beginBytes += lengthBytes;
    }
  }

  #submit(job: WorkJob): Promise<WorkResult> {
    return new Promise((resolve) => this.#jobs.submit(job, resolve));
  }

  /** The same for a job that changes files: where others of ours do, it may have to wait for them. */
  async #change(segments: readonly FileSegment[], jobOf: JobOf): Promise<boolean> {
    const { writers } = this.#files.identities;
    if (writers.isTracking) {
      const files = segments.filter(({ isStored }) => isStored).map(({ file }) => file);
      for (let held = writers.hold(files); held !== null; held = writers.hold(files)) await held;
    }
    return this.#move(segments, jobOf);
  }

  /** Resolves with whether the job found its bytes good. */
  async #move(segments: readonly FileSegment[], jobOf: JobOf): Promise<boolean> {
    const { descriptors } = this.#files;
    const { writers } = this.#files.identities;
    const stored = segments.filter(({ isStored }) => isStored);
    const held = [...new Set(stored.map(({ file }) => file))];
    const fds = await descriptors.acquire(held);
    const fdByFile = new Map(held.map((file, index) => [file, fds[index]!]));
    const files = segments.map(({ file, beginBytes, lengthBytes, isStored }) => {
      return { fd: isStored ? fdByFile.get(file)! : -1, beginBytes, lengthBytes };
    });
    const job = jobOf(files, writers.isTracking);
    const watches = job.kind !== 'read' && writers.isTracking;
    const writes = new Map(watches ? held.map((file) => [file, writers.writeBegins(file)]) : []);
    try {
      const result = await this.#submit(job);
      if (watches) this.#tellTimes(segments, writes, result.ok && result.good ? result.bytes : null);
      if (result.ok) return result.good;
      const first = stored[0] ?? segments[0]!;
      const end = first.beginBytes + first.lengthBytes;
      throw jobFailure(result, this.#files.path(first.file), end);
    } finally {
      descriptors.release(held);
    }
  }

  /**
   * @param writes by file, as they began @param bytes TIMES 64-bit integers for each segment; null: nothing was
   * written, or not all
   */
  #tellTimes(segments: readonly FileSegment[], writes: ReadonlyMap<number, number>, bytes: Uint8Array | null): void {
    const parts = new Map<number, WriteTimes[]>([...writes.keys()].map((file) => [file, []]));
    if (bytes !== null) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      segments.forEach(({ file, isStored }, at) => {
        if (isStored) parts.get(file)!.push(timesAt(view, at * TIMES));
      });
    }
    for (const [file, each] of parts) this.#files.identities.writers.writeEnded(file, writes.get(file)!, each);
  }
}

/** As a worker of this machine wrote them. */
function timesAt(view: DataView, index: number): WriteTimes {
  const at = (offset: number): bigint => view.getBigInt64((index + offset) * 8, IS_LITTLE_ENDIAN);
  return { askedNs: at(0), beforeNs: at(1), beginNs: at(2), afterNs: at(3), endNs: at(4) };
}
