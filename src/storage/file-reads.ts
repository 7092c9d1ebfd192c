/**
 * Reads of the files in use, for whoever reads along: on libuv's threads, into memory of the reader, so that a file
 * that is cut off is an error and no fault. Invariant: a descriptor is not closed while it is read.
 */
import { read } from 'node:fs';
import { fromSystemError, HaulError } from '../errors.js';
import type { Descriptors } from './descriptors.js';

export interface ReadFiles {
  readonly descriptors: Descriptors;
  path(file: number): string;
}

export class FileReads {
  readonly #files: ReadFiles;
  #running = 0;
  #isClosed = false;
  #onIdle: (() => void) | null = null;

  constructor(files: ReadFiles) {
    this.#files = files;
  }

  /** Fills all of it. @throws HaulError CLOSED, BAD_DATA: the file is shorter, and trouble of the disk */
  async read(file: number, beginBytes: number, target: Uint8Array): Promise<void> {
    if (this.#isClosed) throw new HaulError('CLOSED', 'the files are closed');
    this.#running++;
    try {
      const { descriptors } = this.#files;
      const [fd] = await descriptors.acquire([file]);
      try {
        await this.#fill(fd!, file, beginBytes, target);
      } finally {
        descriptors.release([file]);
      }
    } finally {
      if (--this.#running === 0) this.#onIdle?.();
    }
  }

  /** Takes no more, and resolves when none is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  async #fill(fd: number, file: number, beginBytes: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const count = await this.#readSome(fd, file, target.subarray(done), beginBytes + done);
      if (count > 0) done += count;
      else {
        const path = this.#files.path(file);
        throw new HaulError('BAD_DATA', `${path} was cut off while it was in use`, { path });
      }
    }
  }

  #readSome(fd: number, file: number, target: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(fd, target, 0, target.length, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(fromSystemError(error, 'read', this.#files.path(file)));
      });
    });
  }
}
