/**
 * The bytes of a blob as the depot sends them, from first to last: hashed, written to a file (a short one is kept in
 * memory), and read along by any number of readers. Who reads to the end gets the last byte when the digest is right,
 * so that nobody gets to the end of a bad blob. Of a range that ends before, only what is known to be right is given:
 * by the hashes of the pieces of a torrent, or all of it at the end. A connection that breaks is made anew from where
 * it was.
 */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { FileSha256 } from '../../content/file-sha256.js';
import { fromSystemError, HaulError } from '../../errors.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import type { ArtifactRow } from '../catalogue/port.js';
import type { ByteRange } from '../store/port.js';
import type { DepotClient } from './depot-client.js';
import { DepotAway, DepotFailed, DepotLies, reasonOf } from './depot-trouble.js';
import { Deferred } from './fetch.js';
import { AGENT_LIMITS } from './limits.js';
import { PieceCheck } from './piece-check.js';
import { Spool } from './spool.js';
import type { Head } from './torrent-part.js';

export interface HttpStreamOptions {
  readonly row: ArtifactRow;
  readonly client: DepotClient;
  /** Of the file that is written, which must not be there. Null: in memory. */
  readonly path: string | null;
}

/** Tries in a row that bring nothing. */
const TRIES = 3;
/** Longer ones are hashed by a thread, which takes as long to begin as these take to hash. */
const THREAD_BYTES = 32 * 1024 * 1024;

export class HttpStream {
  readonly row: ArtifactRow;
  /** Resolves when all is here, right, and in the file; rejects with why it is not. Handled. */
  readonly whole = new Deferred<void>();
  /** Resolves when the first bytes are here, or none will come. */
  readonly begun = new Deferred<void>();
  readonly #options: HttpStreamOptions;
  readonly #abort = new AbortController();
  readonly #memory: Buffer | null;
  #file: FileHandle | null = null;
  #spool: Spool | null = null;
  readonly #hash: Hash | null;
  #thread: FileSha256 | null = null;
  #hereBytes = 0;
  #isRight = false;
  #pieces: PieceCheck | null = null;
  #stoppedDigest: string | null = null;
  #isStopped = false;
  #failure: unknown = null;
  /** Why it was given up. */
  #reason: Error | null = null;
  #waiting: (() => void)[] = [];
  /** How often whoever waits was woken: nobody begins to wait for what has just come. */
  #wakes = 0;
  #readers = 0;
  #isClosing = false;
  readonly #ended: Promise<void>;

  constructor(options: HttpStreamOptions) {
    this.#options = options;
    this.row = options.row;
    const { lengthBytes } = options.row;
    this.#memory = options.path === null ? Buffer.allocUnsafeSlow(lengthBytes) : null;
    this.#hash = lengthBytes <= THREAD_BYTES || options.path === null ? createHash('sha256') : null;
    this.#ended = this.#run();
  }

  get hereBytes(): number {
    return this.#hereBytes;
  }

  /** All is here, and right. */
  get isWhole(): boolean {
    return this.#isRight;
  }

  /** Of one in memory, once it is whole. */
  get memory(): Buffer | null {
    return this.#memory;
  }

  /** Of one that is stopped: what readers may have got of it. */
  get head(): Head {
    return { lengthBytes: this.#hereBytes, sha256: this.#isRight ? this.row.sha256 : this.#stoppedDigest };
  }

  /** By these hashes it is known what is right before all is here. */
  checkBy(metainfo: Metainfo): void {
    this.#pieces = new PieceCheck(metainfo);
    this.#wake();
  }

  /** Nothing more comes: readers end where they are. Resolves when what came is in the file. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#abort.abort();
    this.#wake();
    await this.#ended;
  }

  /** It is given up for this; readers hear of it. */
  fail(error: Error): void {
    this.#reason ??= error;
    this.#abort.abort();
  }

  /** No reader will come any more; the file is closed when the last one has gone. */
  async close(): Promise<void> {
    // What came is in the file before a reader that leaves may close it.
    await this.stop();
    this.#isClosing = true;
    await this.#closeFile();
  }

  /** Bytes in order; ends before the end of the range when the stream is stopped, or the signal fires. */
  async *read({ begin, end }: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener('abort', onAbort);
    this.#readers++;
    try {
      for (let at = begin; at < end && !signal.aborted; ) {
        // Who comes when it is closed gets nothing of it.
        if (this.#isClosing && this.#file === null && this.#memory === null) return;
        const wakes = this.#wakes;
        const until = Math.min(end, await this.#givenUntil(at, end));
        if (at < until) {
          const slice = await this.#bytes(at, until);
          at += slice.length;
          yield slice;
        } else if (this.#isStopped) return;
        else if (this.#failure !== null) throw this.#failure;
        else if (wakes === this.#wakes) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#readers--;
      if (this.#isClosing) await this.#closeFile();
    }
  }

  async #givenUntil(at: number, end: number): Promise<number> {
    const { lengthBytes } = this.row;
    if (this.#isRight) return this.#hereBytes;
    // Of the whole the last byte waits for the verdict.
    if (end === lengthBytes) return Math.min(this.#hereBytes, lengthBytes - 1);
    if (this.#pieces === null) return at;
    return this.#pieces.goodUntil(at, this.#hereBytes, (from, to) => this.#bytes(from, to));
  }

  async #bytes(at: number, until: number): Promise<Uint8Array> {
    return this.#memory?.subarray(at, until) ?? this.#spool!.read(at, until);
  }

  async #closeFile(): Promise<void> {
    if (this.#readers > 0 || this.#file === null) return;
    const file = this.#file;
    this.#file = null;
    await file.close().catch(() => {});
  }

  async #run(): Promise<void> {
    const { path } = this.#options;
    try {
      if (path !== null) {
        this.#file = await open(path, 'wx+', 0o600).catch((error: unknown) => {
          throw fromSystemError(error, 'create', path);
        });
        this.#spool = new Spool(this.#file, path);
        if (this.#hash === null) this.#thread = new FileSha256(path);
      }
      await this.#loadAll();
      if ((await this.#digest()) !== this.row.sha256)
        throw new DepotLies(`the bytes of ${this.row.name} have another SHA-256 than it said`);
      this.#isRight = true;
      this.whole.resolve();
    } catch (error) {
      this.#failure = error;
      this.#stoppedDigest = await this.#digest().catch(() => null);
      this.whole.reject(error);
    } finally {
      this.#thread?.close();
      this.begun.resolve();
      this.#wake();
    }
  }

  /** Of what is here. It can be asked for once. */
  async #digest(): Promise<string> {
    await this.#spool?.flush();
    return this.#hash?.digest('hex') ?? (await this.#thread!.digest(this.#hereBytes)).digest;
  }

  async #loadAll(): Promise<void> {
    const { lengthBytes } = this.row;
    let tries = 0;
    while (this.#hereBytes < lengthBytes || (lengthBytes === 0 && tries === 0)) {
      const before = this.#hereBytes;
      const trouble = await this.#load();
      tries = this.#hereBytes > before ? 1 : tries + 1;
      const isOver = tries >= TRIES || trouble instanceof DepotFailed || this.#abort.signal.aborted;
      if (trouble !== null && isOver) throw this.#reason ?? trouble;
    }
  }

  /** From where it is. Null: all is here; else why it broke off. */
  async #load(): Promise<DepotAway | null> {
    const { row, client } = this.#options;
    const { signal } = this.#abort;
    const range = this.#hereBytes === 0 ? null : { begin: this.#hereBytes, end: row.lengthBytes };
    const opened = await client.open(row, range, signal).catch((error: unknown) => {
      if (error instanceof DepotAway) return error;
      throw error;
    });
    if (opened instanceof DepotAway) return opened;
    if (opened === null) throw new HaulError('NOT_FOUND', 'the artifact is not what it was a moment ago; ask again');
    const onAbort = (): void => void opened.body.destroy();
    signal.addEventListener('abort', onAbort);
    try {
      for await (const chunk of opened.body as AsyncIterable<Buffer>) {
        if (this.#hereBytes + chunk.length > row.lengthBytes) throw new DepotLies('it sent more than it had said');
        await this.#take(chunk);
      }
    } catch (error) {
      if (error instanceof DepotLies || error instanceof HaulError) throw error;
      if (!signal.aborted) return new DepotAway(reasonOf(error));
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    if (signal.aborted) throw this.#reason ?? new HaulError('ABORTED', 'it is not wanted any more');
    return this.#hereBytes < row.lengthBytes ? new DepotAway('its answer ended early') : null;
  }

  async #take(chunk: Buffer): Promise<void> {
    this.#hash?.update(chunk);
    if (this.#memory !== null) chunk.copy(this.#memory, this.#hereBytes);
    const written = this.#spool?.append(chunk);
    this.#hereBytes += chunk.length;
    this.begun.resolve();
    this.#wake();
    if (written === undefined) return;
    await written;
    this.#thread?.advance(this.#spool!.writtenBytes);
  }

  #wake(): void {
    this.#wakes++;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Of a blob that lies in memory while it comes. */
export function isShort({ lengthBytes }: ArtifactRow): boolean {
  return lengthBytes <= AGENT_LIMITS.smallBytes;
}
