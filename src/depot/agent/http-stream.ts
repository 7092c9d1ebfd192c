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
import type { RateGate, ShareGate } from '../../rates-api.js';
import type { ArtifactRow } from '../catalogue/port.js';
import type { ByteRange } from '../store/port.js';
import type { DepotPort, OpenedBytes } from './depot-port.js';
import { DepotAway, DepotFailed, DepotLies, reasonOf } from './depot-trouble.js';
import { Deferred } from './fetch.js';
import type { Sink } from './get-connection.js';
import type { Given } from './go-on.js';
import { AGENT_LIMITS } from './limits.js';
import { PieceCheck } from './piece-check.js';
import { Spool, type SpoolPart } from './spool.js';
import type { Head } from './torrent-part.js';

export interface HttpStreamOptions {
  readonly row: ArtifactRow;
  readonly client: DepotPort;
  /** Of the file that is written, which must not be there. Null: in memory. */
  readonly path: string | null;
  /** Its folder is there, and space for it; until then bytes wait in memory. Default: at once. */
  readonly ready?: Promise<void>;
  /** The begin of the bytes is on its way already. */
  readonly opened?: OpenedBytes | null;
  /** What comes passes it. */
  readonly gate?: RateGate;
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
  readonly #gate: ShareGate | null;
  readonly #abort = new AbortController();
  readonly #memory: Buffer | null;
  #file: FileHandle | null = null;
  readonly #spool: Spool | null;
  readonly #hash: Hash | null;
  readonly #thread: FileSha256 | null;
  #offered: OpenedBytes | null;
  /** Depots that sent of it. */
  readonly #senders = new Set<string>();
  #hereBytes = 0;
  #isRight = false;
  #pieces: PieceCheck | null = null;
  #digested: string | null = null;
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
  #given: Promise<Given | null> | null = null;

  constructor(options: HttpStreamOptions) {
    this.#options = options;
    this.row = options.row;
    const { path, opened = null } = options;
    const { lengthBytes, infoHash, sha256 } = options.row;
    this.#gate = options.gate?.of(infoHash ?? sha256) ?? null;
    this.#offered = opened;
    this.#memory = path === null ? Buffer.allocUnsafeSlow(lengthBytes) : null;
    this.#spool = path === null ? null : new Spool(path);
    this.#thread = path === null || lengthBytes <= THREAD_BYTES ? null : new FileSha256(path);
    this.#hash = this.#thread === null ? createHash('sha256') : null;
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

  /** Of one that has failed or was stopped: what readers may have got, for who goes on from there. Null: unknown. */
  given(): Promise<Given | null> {
    this.#given ??= this.#ended.then(() => this.#hashHere()).catch(() => null);
    return this.#given;
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
        const given = this.#givenUntil(at, end);
        const until = Math.min(end, typeof given === 'number' ? given : await given);
        if (at < until) {
          const { bytes, free } = this.#here(at, until) ?? (await this.#spool!.inFile(at, until));
          at += bytes.length;
          try {
            yield bytes;
          } finally {
            free();
          }
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

  #givenUntil(at: number, end: number): number | Promise<number> {
    const { lengthBytes } = this.row;
    if (this.#isRight) return this.#hereBytes;
    // Of the whole the last byte waits for the verdict.
    if (end === lengthBytes) return Math.min(this.#hereBytes, lengthBytes - 1);
    if (this.#pieces === null) return at;
    return this.#pieces.goodUntil(at, this.#hereBytes, (from, to, use) => this.#with(from, to, use));
  }

  #here(at: number, until: number): SpoolPart | null {
    if (this.#memory !== null) return { bytes: this.#memory.subarray(at, until), free: () => {} };
    return this.#spool!.inMemory(at, until);
  }

  async #with(at: number, until: number, use: (bytes: Uint8Array) => void): Promise<void> {
    const { bytes, free } = this.#here(at, until) ?? (await this.#spool!.inFile(at, until));
    use(bytes);
    free();
  }

  async #closeFile(): Promise<void> {
    if (this.#readers > 0 || this.#file === null) return;
    const file = this.#file;
    this.#file = null;
    await file.close().catch(() => {});
  }

  async #run(): Promise<void> {
    const opening = this.#open();
    try {
      await this.#loadAll();
      await opening;
      if ((await this.#digest()) !== this.row.sha256) {
        this.#options.client.blame([...this.#senders]);
        throw new DepotLies(`the bytes of ${this.row.name} have another SHA-256 than it said`);
      }
      this.#isRight = true;
      this.whole.resolve();
    } catch (error) {
      await opening;
      this.#failure = error;
      this.#stoppedDigest = await this.#digest().catch(() => null);
      this.whole.reject(error);
    } finally {
      this.#thread?.close();
      this.#gate?.end();
      this.begun.resolve();
      this.#wake();
    }
  }

  /** The file, beside the first bytes. Never rejects: what is wrong with it the spool has to say. */
  async #open(): Promise<void> {
    const { path, ready } = this.#options;
    const spool = this.#spool;
    if (path === null || spool === null) return;
    spool.onWritten = (bytes) => this.#thread?.advance(bytes);
    try {
      await ready;
      this.#file = await open(path, 'wx+', 0o600).catch((error: unknown) => {
        throw fromSystemError(error, 'create', path);
      });
      spool.start(this.#file);
    } catch (error) {
      spool.fail(error);
    }
  }

  /** The last byte is here: it may leave with those before it. */
  #judge(hash: Hash): void {
    this.#digested = hash.digest('hex');
    this.#isRight = this.#digested === this.row.sha256;
  }

  /** Of what is here, once that is in the file. */
  async #digest(): Promise<string> {
    await this.#spool?.flush();
    this.#digested ??= this.#hash?.digest('hex') ?? (await this.#thread!.digest(this.#hereBytes)).digest;
    return this.#digested;
  }

  /** The last byte of all has not left. */
  async #hashHere(): Promise<Given> {
    const lengthBytes = Math.min(this.#hereBytes, this.row.lengthBytes - 1);
    if (this.#hash !== null && this.#digested === null && lengthBytes === this.#hereBytes)
      return { lengthBytes, hash: this.#hash.copy() };
    const hash = createHash('sha256');
    for (let at = 0; at < lengthBytes; )
      await this.#with(at, lengthBytes, (bytes) => {
        hash.update(bytes);
        at += bytes.length;
      });
    return { lengthBytes, hash };
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
    const { row } = this.#options;
    const { signal } = this.#abort;
    const opened = await this.#opened().catch((error: unknown) => {
      if (error instanceof DepotAway) return error;
      throw error;
    });
    if (opened instanceof DepotAway) return opened;
    if (opened === null) throw new HaulError('NOT_FOUND', 'the artifact is not what it was a moment ago; ask again');
    const { body } = opened;
    this.#senders.add(opened.from);
    const onAbort = (): void => void body.destroy();
    signal.addEventListener('abort', onAbort);
    try {
      if (signal.aborted) onAbort();
      await body.pour(this.#sinkOf(body));
    } catch (error) {
      if (!signal.aborted && this.#spool?.failure == null) return new DepotAway(reasonOf(error));
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    if (this.#spool?.failure != null) throw this.#spool.failure;
    if (signal.aborted) throw this.#reason ?? new HaulError('ABORTED', 'it is not wanted any more');
    return this.#hereBytes < row.lengthBytes ? new DepotAway('its answer ended early') : null;
  }

  async #opened(): Promise<OpenedBytes | null> {
    const { row, client } = this.#options;
    const offered = this.#offered;
    this.#offered = null;
    if (offered !== null) return offered;
    const range = this.#hereBytes === 0 ? null : { begin: this.#hereBytes, end: row.lengthBytes };
    return client.open(row, range, this.#abort.signal);
  }

  /** Where bytes of the depot go: exactly as many as are missing come. */
  #sinkOf(body: OpenedBytes['body']): Sink {
    const memory = this.#memory;
    const spool = this.#spool;
    const readBytes = (): number => this.#gate?.readBytes ?? Number.POSITIVE_INFINITY;
    let [isFull, isHeld] = [false, false];
    const goOn = (): void => {
      if (spool?.failure != null) body.destroy();
      else if (!isFull && !isHeld) body.resume();
    };
    const goOnReading = (): void => {
      isHeld = false;
      goOn();
    };
    if (spool !== null)
      spool.onRoom = () => {
        isFull = false;
        goOn();
      };
    let room: Uint8Array = new Uint8Array(0);
    return {
      room: () => {
        room = memory?.subarray(this.#hereBytes, this.#hereBytes + readBytes()) ?? spool!.room();
        return room;
      },
      came: (bytes) => {
        this.#hash?.update(room.subarray(0, bytes));
        this.#hereBytes += bytes;
        if (this.#hash !== null && this.#hereBytes === this.row.lengthBytes) this.#judge(this.#hash);
        isFull = spool?.came(bytes) === false;
        isHeld = this.#gate?.ask(bytes, goOnReading) === false;
        this.begun.resolve();
        this.#wake();
        if (spool?.failure != null) body.destroy();
        return !isFull && !isHeld;
      },
    };
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
