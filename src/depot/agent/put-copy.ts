/**
 * A copy of what is published through the agent, so that the next job of its host finds it in the cache. The bytes are
 * noted while they pass: a short body in memory, a long one in a file. An upload never waits for its copy: where the
 * disk is slower than the line, or there is too much, the copy is given up, and nothing of it stays.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { AGENT_LIMITS } from './limits.js';
import { Spool } from './spool.js';

/** All that came. A file is whose who asked for it. */
export interface Copied {
  readonly lengthBytes: number;
  /** Null: it is in `path`. */
  readonly bytes: Buffer | null;
  readonly path: string;
}

export interface PutCopyLimits {
  /** Longer ones are not kept. */
  readonly bytesMax: number;
  /** Memory that is spoken for. */
  readonly bookedBytes: number;
}

export class PutCopy {
  readonly bookedBytes: number;
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #spool: Spool;
  #hereBytes = 0;
  /** Of one that is short so far. */
  #short: Uint8Array[] = [];
  /** Null: it is short so far. */
  #file: Promise<FileHandle | null> | null = null;
  #state: 'noting' | 'ended' | 'given up' = 'noting';

  /** @param path where a long one lies meanwhile */
  constructor(path: string, { bytesMax, bookedBytes }: PutCopyLimits) {
    this.bookedBytes = bookedBytes;
    this.#path = path;
    this.#bytesMax = bytesMax;
    this.#spool = new Spool(path);
  }

  /** The same bytes, noted. */
  async *passing(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      if (this.#state === 'noting') this.#note(chunk);
      yield chunk;
    }
  }

  /** Null: it was given up, and nothing is left. Never rejects. Once. */
  async end(): Promise<Copied | null> {
    // An answer may come before the end of the body.
    if (this.#state === 'noting') this.#state = 'ended';
    const file = await this.#file;
    if (file !== null) await this.#spool.flush().catch(() => this.#giveUp());
    await file?.close().catch(() => {});
    const bytes = this.#file === null ? Buffer.concat(this.#short) : null;
    if (this.#state === 'ended') return { lengthBytes: this.#hereBytes, bytes, path: this.#path };
    if (file !== null) await unlink(this.#path).catch(() => {});
    return null;
  }

  /** It came to nothing. Never rejects. */
  async drop(): Promise<void> {
    this.#giveUp();
    await this.end();
  }

  #note(chunk: Uint8Array): void {
    this.#hereBytes += chunk.length;
    if (this.#hereBytes > this.#bytesMax) this.#giveUp();
    else if (this.#hereBytes <= AGENT_LIMITS.smallBytes) this.#short.push(chunk);
    else {
      this.#file ??= this.#open();
      for (const part of [...this.#short.splice(0), chunk]) this.#spooled(part);
    }
  }

  #spooled(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && this.#state === 'noting'; ) {
      const room = this.#spool.room();
      const part = bytes.subarray(at, at + room.length);
      room.set(part);
      at += part.length;
      if (!this.#spool.came(part.length)) this.#giveUp();
    }
  }

  #giveUp(): void {
    this.#state = 'given up';
    this.#short = [];
  }

  async #open(): Promise<FileHandle | null> {
    try {
      const file = await open(this.#path, 'wx+', 0o600);
      this.#spool.start(file);
      return file;
    } catch {
      // It is published all the same.
      this.#giveUp();
      return null;
    }
  }
}
