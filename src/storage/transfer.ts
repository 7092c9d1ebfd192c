/** Moves a torrent range between memory and its files with pread and pwrite in the pool, some files at a time. */
import type { MemoryRange, WorkResult } from '../hash/port.js';
import { jobFailure } from './failures.js';
import type { DataFiles } from './files.js';
import type { Jobs } from './jobs.js';
import type { FileLayout, FileSegment } from './layout.js';

/** Descriptors held by one job: a piece may span thousands of files. */
const FILES_PER_JOB = 64;

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
    try {
      const result = await new Promise<WorkResult>((resolve) => this.#jobs.submit({ kind, files, memory }, resolve));
      if (result.ok) return;
      const first = stored[0] ?? segments[0]!;
      const end = first.beginBytes + first.lengthBytes;
      throw jobFailure(result, this.#files.path(first.file), end);
    } finally {
      descriptors.release(held);
    }
  }
}
