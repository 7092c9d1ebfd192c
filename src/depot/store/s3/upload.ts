/**
 * Bytes on their way to S3. They are spooled to the cache's folder, where a thread hashes them. Where their digest was
 * announced, parts of them go to S3 meanwhile; else all of them when it is known, several parts at once. Invariant:
 * nothing is at the key of a blob before the digest of all of it was found to be that.
 *
 * The other way would be a temporary object that S3 copies to the key of the digest. Against versitygw that took twice
 * as long: most servers read and write a copy like anything else, and the bytes lie on our disk already.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { HaulError } from '../../../errors.js';
import { forEachConcurrently } from '../../../storage/concurrently.js';
import type { BlobUpload, FinishedUpload, UploadOptions } from '../port.js';
import type { FolderUpload } from '../upload.js';
import type { Buffers } from './buffers.js';
import { blobKey } from './layout.js';
import { S3_LIMITS } from './limits.js';
import type { Multipart, Objects, PartDone } from './objects.js';
import { type PartRange, partLength, partsOf } from './part-lengths.js';
import type { Turns } from './turns.js';
import type { UploadJournal } from './upload-journal.js';

const STREAM_BYTES = 1024 * 1024;

export interface S3UploadParts {
  readonly objects: Objects;
  readonly spool: FolderUpload;
  readonly options: UploadOptions;
  readonly journal: UploadJournal;
  /** Shared by all uploads. */
  readonly turns: Turns;
  readonly buffers: Buffers;
}

export class S3Upload implements BlobUpload {
  readonly #parts: S3UploadParts;
  readonly spool: FolderUpload;
  /** Null in it: the blob is there already, and nothing is sent. */
  #multipart: Promise<Multipart | null> | null = null;
  #done: PartDone[] = [];
  readonly #underway = new Set<Promise<void>>();
  #nextPart = 0;
  /** Where the next part begins. */
  #nextBegin = 0;
  #finished: FinishedUpload | null = null;
  #failure: HaulError | null = null;
  #isOver = false;
  onOver: () => void = () => {};

  constructor(parts: S3UploadParts) {
    this.#parts = parts;
    this.spool = parts.spool;
  }

  get writtenBytes(): number {
    return this.spool.writtenBytes;
  }

  get finished(): FinishedUpload {
    if (this.#finished === null || this.#isOver) throw new HaulError('CLOSED', 'the upload is not finished');
    return this.#finished;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    await this.spool.write(chunk);
    this.#feed(false);
    while (this.#underway.size > 0 && this.spool.storedBytes - this.#nextBegin > S3_LIMITS.lagBytes) {
      await Promise.race(this.#underway);
      this.#check();
    }
  }

  async finish(): Promise<FinishedUpload> {
    this.#check();
    const { piecesFromBytes } = this.#parts.options;
    const found = await this.spool.finish();
    this.#feed(true);
    while (this.#underway.size > 0) {
      await Promise.race(this.#underway);
      this.#check();
      this.#feed(true);
    }
    this.#check();
    this.#finished = found.lengthBytes >= piecesFromBytes ? found : { ...found, pieces: null, pieceLengthBytes: null };
    return this.#finished;
  }

  async abort(): Promise<void> {
    if (this.#isOver) return;
    await this.settled();
    await this.spool.abort();
  }

  /** It is in S3, or will not be: what is on disk is somebody else's. */
  async settled(): Promise<void> {
    this.#isOver = true;
    this.#failure ??= new HaulError('ABORTED', 'the upload was given up');
    this.onOver();
    const multipart = (await this.#multipart?.catch(() => null)) ?? null;
    this.#multipart = null;
    await Promise.all(this.#underway);
    if (multipart !== null) await this.#giveUp(multipart);
  }

  /**
   * The object of the blob is there when it resolves. After `finish`.
   * @param isNew nothing is there yet, as far as anybody knows
   * @returns false: somebody else put it there meanwhile
   */
  async place(sha256: string, isNew: boolean): Promise<boolean> {
    const key = blobKey(sha256);
    const multipart = (await this.#multipart) ?? null;
    this.#multipart = null;
    if (multipart?.key === key) return this.#end(multipart, isNew);
    // It was announced to be another one.
    if (multipart !== null) await this.#giveUp(multipart);
    const { objects, turns } = this.#parts;
    const lengthBytes = this.writtenBytes;
    if (lengthBytes > S3_LIMITS.singleBytes) return this.#placeParts(key, lengthBytes, isNew);
    const bytes = this.spool.bytes ?? (await readPart(this.spool.path, 0, Buffer.alloc(lengthBytes)));
    return turns.run(() => objects.put(key, bytes, isNew));
  }

  /** From the spool, now that its key is known. */
  async #placeParts(key: string, lengthBytes: number, isNew: boolean): Promise<boolean> {
    const multipart = await this.#begin(key);
    this.#done = [];
    try {
      await forEachConcurrently(partsOf(lengthBytes), S3_LIMITS.partsAtOnce, (part) =>
        this.#parts.turns.run(() => this.#put(multipart, part)),
      );
    } catch (error) {
      await this.#giveUp(multipart);
      throw error;
    }
    return this.#end(multipart, isNew);
  }

  async #begin(key: string): Promise<Multipart> {
    const multipart = await this.#parts.objects.beginMultipart(key);
    await this.#parts.journal.begun(multipart);
    return multipart;
  }

  async #end(multipart: Multipart, isNew: boolean): Promise<boolean> {
    this.#done.sort((one, other) => one.number - other.number);
    try {
      if (await this.#parts.objects.endMultipart(multipart, this.#done, isNew)) {
        await this.#parts.journal.ended(multipart);
        return true;
      }
    } catch (error) {
      await this.#giveUp(multipart);
      throw error;
    }
    await this.#giveUp(multipart);
    return false;
  }

  async #giveUp(multipart: Multipart): Promise<void> {
    if (await this.#parts.objects.abortMultipart(multipart)) await this.#parts.journal.ended(multipart);
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#isOver) throw new HaulError('CLOSED', 'the upload is over');
  }

  /** Sends the parts that are whole, so many at once. @param isEnd no more bytes come */
  #feed(isEnd: boolean): void {
    const { sha256 = null, lengthBytes } = this.#parts.options;
    const { storedBytes } = this.spool;
    if (sha256 === null || this.#isOver || this.#failure !== null) return;
    if (this.#multipart === null && storedBytes <= S3_LIMITS.singleBytes) return;
    this.#multipart ??= this.#beginUnlessThere(blobKey(sha256), lengthBytes);
    while (this.#underway.size < S3_LIMITS.partsAtOnce && this.#nextBegin < storedBytes) {
      const wanted = partLength(lengthBytes, this.#nextPart);
      if (storedBytes - this.#nextBegin < wanted && !isEnd) return;
      if (this.#nextPart >= S3_LIMITS.parts) {
        this.#failure = new HaulError('LIMIT', `it needs more than ${S3_LIMITS.parts} parts on S3`);
        return;
      }
      const length = Math.min(wanted, storedBytes - this.#nextBegin);
      this.#send({ number: ++this.#nextPart, begin: this.#nextBegin, lengthBytes: length }, isEnd);
      this.#nextBegin += length;
    }
  }

  async #beginUnlessThere(key: string, lengthBytes: number | null): Promise<Multipart | null> {
    const isThere = lengthBytes !== null && (await this.#parts.objects.head(key)) === lengthBytes;
    return isThere ? null : this.#begin(key);
  }

  /** Never rejects: what fails is told by the next call. */
  #send(part: PartRange, isEnd: boolean): void {
    const sending: Promise<void> = this.#sendPart(part)
      .catch((error: unknown) => {
        this.#failure ??= this.#parts.objects.trouble(error, 'write', 'a part of an upload');
      })
      .finally(() => {
        this.#underway.delete(sending);
        this.#feed(isEnd);
      });
    this.#underway.add(sending);
  }

  async #sendPart(part: PartRange): Promise<void> {
    const multipart = await this.#multipart;
    if (multipart === null) return;
    await this.#parts.turns.run(async () => {
      if (this.#failure === null) await this.#put(multipart, part);
    });
  }

  async #put(multipart: Multipart, { number, begin, lengthBytes }: PartRange): Promise<void> {
    const [{ objects, buffers }, { path }] = [this.#parts, this.spool];
    if (lengthBytes <= S3_LIMITS.heldPartBytes) {
      const bytes = await readPart(path, begin, buffers.take(lengthBytes));
      this.#done.push(await objects.putPart(multipart, number, bytes, lengthBytes));
      buffers.giveBack(bytes);
      return;
    }
    // The SDK cannot send a stream again.
    for (let attempt = 1; ; attempt++) {
      const body = createReadStream(path, { start: begin, end: begin + lengthBytes - 1, highWaterMark: STREAM_BYTES });
      try {
        this.#done.push(await objects.putPart(multipart, number, body, lengthBytes));
        return;
      } catch (error) {
        body.destroy();
        if (attempt >= S3_LIMITS.attempts) throw error;
      }
    }
  }
}

async function readPart(path: string, begin: number, bytes: Buffer): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, done, bytes.length - done, begin + done);
      if (bytesRead === 0) throw new HaulError('IO', `read ${path}: it is shorter than it was`);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}
