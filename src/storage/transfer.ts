/** Moves a torrent range between memory and its files with pread and pwrite in the pool, some files at a time. */
import { endianness } from 'node:os';
import type { MemoryRange, WorkJob, WorkResult } from '../hash/port.js';
import { jobFailure } from './failures.js';
import type { DataFiles } from './files.js';
import type { Jobs } from './jobs.js';
import type { FileLayout, FileSegment } from './layout.js';

/** Descriptors held by one job: a piece may span thousands of files. */
const FILES_PER_JOB = 64;

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
    const segments = this.#layout.segments(begin, memory.lengthBytes);
    let beginBytes = memory.beginBytes;
    for (let at = 0; at < segments.length; at += FILES_PER_JOB) {
      const part = segments.slice(at, at + FILES_PER_JOB);
      const lengthBytes = part.reduce((sum, segment) => sum + segment.lengthBytes, 0);
      await this.#move(kind, part, { ...memory, beginBytes, lengthBytes });
      beginBytes += lengthBytes;
    }
  }

  async #move(kind: 'read' | 'write', segments: readonly FileSegment[], memory: MemoryRange): Promise<void> {
    const { descriptors } = this.#files;
    const stored = segments.filter(({ isStored }) => isStored);
    const held = [...new Set(stored.map(({ file }) => file))];
    const fds = await descriptors.acquire(held);
    const fdByFile = new Map(held.map((file, index) => [file, fds[index]!]));
    const files = segments.map(({ file, beginBytes, lengthBytes, isStored }) => {
      return { fd: isStored ? fdByFile.get(file)! : -1, beginBytes, lengthBytes };
    });
    const watches = kind === 'write' && this.#files.identities.writers.isTracking;
    if (watches) for (const file of held) this.#files.identities.writers.writeBegins(file);
    try {
      const job: WorkJob = kind === 'read' ? { kind, files, memory } : { kind, files, memory, wantsTimes: watches };
      const result = await new Promise<WorkResult>((resolve) => this.#jobs.submit(job, resolve));
      if (watches) this.#tellTimes(segments, held, result.ok ? result.bytes : null);
      if (result.ok) return;
      const first = stored[0] ?? segments[0]!;
      const end = first.beginBytes + first.lengthBytes;
      throw jobFailure(result, this.#files.path(first.file), end);
    } finally {
      descriptors.release(held);
    }
  }

  /** @param bytes two 64-bit times for each segment; null: the write failed */
  #tellTimes(segments: readonly FileSegment[], held: readonly number[], bytes: Uint8Array | null): void {
    const spans = new Map<number, [bigint, bigint][]>(held.map((file) => [file, []]));
    if (bytes !== null) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      segments.forEach(({ file, isStored }, at) => {
        if (isStored) spans.get(file)!.push([timeAt(view, at * 2), timeAt(view, at * 2 + 1)]);
      });
    }
    for (const [file, each] of spans) this.#files.identities.writers.writeEnded(file, each);
  }
}

/** As a worker of this machine wrote it. */
function timeAt(view: DataView, index: number): bigint {
  return view.getBigInt64(index * 8, IS_LITTLE_ENDIAN);
}
