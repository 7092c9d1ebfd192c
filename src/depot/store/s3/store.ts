/**
 * The store on S3. Blobs are objects by their digest; what is on the depot's disk is a cache: uploads on their way,
 * chunks that were fetched, blobs that were published or are seeded. Invariant: a blob is there when its object is, and
 * that is put last; what is given out was verified, whole or by its pieces.
 */
import type { ContentSource } from '../../../api.js';
import { HaulError } from '../../../errors.js';
import { forEachConcurrently } from '../../../storage/concurrently.js';
import type { FolderStore } from '../folders.js';
import type {
  BlobStat,
  BlobStore,
  BlobUpload,
  ByteRange,
  NameNote,
  PieceRecord,
  Placed,
  PlacedFile,
  Sidecar,
  StoreElsewhere,
  UploadOptions,
  VerifyOptions,
} from '../port.js';
import { encodeNote, parseNotes } from '../sidecar.js';
import { Buffers } from './buffers.js';
import type { CacheRoom } from './cache-room.js';
import { elsewhereOf } from './elsewhere.js';
import { BLOBS, blobKey, blobOfKey, checked, MARK, nameKey, namesPrefix, piecesKey } from './layout.js';
import { S3_LIMITS } from './limits.js';
import type { Objects } from './objects.js';
import { BlobReader, isLost, type ReaderParts } from './reader.js';
import { piecesOf } from './records.js';
import { Turns } from './turns.js';
import { S3Upload } from './upload.js';
import type { UploadJournal } from './upload-journal.js';
import { within } from './within.js';

export interface S3StoreParts extends ReaderParts {
  readonly objects: Objects;
  readonly journal: UploadJournal;
  /** Of the prefix, for ever. */
  readonly id: string;
  readonly isReadOnly: boolean;
  /** Milliseconds that only go on. */
  readonly now: () => number;
}

export class S3Store implements BlobStore {
  readonly elsewhere: StoreElsewhere;
  readonly #objects: Objects;
  readonly #cache: FolderStore;
  readonly #room: CacheRoom;
  readonly #reader: BlobReader;
  readonly #parts: S3StoreParts;
  readonly #turns = new Turns(S3_LIMITS.allPartsAtOnce);
  readonly #buffers = new Buffers();
  readonly #open = new Set<S3Upload>();
  /** Files that the engine has: they stay. By view. */
  readonly #views = new Map<string, () => void>();
  #blobBytes = 0;
  #isClosed = false;
  #lastReady: { readonly atMs: number; readonly message: Promise<string> } | null = null;

  constructor(parts: S3StoreParts) {
    this.#parts = parts;
    this.#reader = new BlobReader(parts);
    this.elsewhere = elsewhereOf({ ...parts, reader: this.#reader }, () => this.#ready());
    this.#objects = parts.objects;
    this.#cache = parts.cache;
    this.#room = parts.room;
  }

  /** What is in the bucket, and whole in the cache. */
  async count(): Promise<void> {
    for await (const { lengthBytes } of this.list()) this.#blobBytes += lengthBytes;
    for await (const { sha256, lengthBytes } of this.#cache.list()) this.#keep(sha256, lengthBytes);
    await this.#room.make(0);
  }

  get usedBytes(): number {
    return this.#blobBytes + [...this.#open].reduce((sum, { spool }) => sum + spool.storedBytes, 0);
  }

  async create(options: UploadOptions): Promise<BlobUpload> {
    this.#check();
    if (options.lengthBytes !== null) await this.#room.make(options.lengthBytes);
    const piecesFromBytes = Math.min(options.piecesFromBytes, S3_LIMITS.chunkBytes + 1);
    const spool = await this.#cache.create({ ...options, piecesFromBytes });
    const { journal } = this.#parts;
    const shared = { objects: this.#objects, journal, turns: this.#turns, buffers: this.#buffers };
    const upload = new S3Upload({ ...shared, spool, options });
    this.#open.add(upload);
    upload.onOver = () => this.#open.delete(upload);
    return upload;
  }

  async commit(given: BlobUpload, note: NameNote | null): Promise<BlobStat> {
    const upload = given as S3Upload;
    try {
      this.#check();
      return await this.#commit(upload, note);
    } finally {
      await upload.abort();
    }
  }

  async #commit(upload: S3Upload, note: NameNote | null): Promise<BlobStat> {
    const { sha256, lengthBytes } = upload.finished;
    const { pieces, pieceLengthBytes } = upload.spool.finished;
    const thereBytes = this.#parts.remote.bad.has(sha256) ? null : await this.#objects.head(blobKey(sha256));
    const isThere = thereBytes === lengthBytes;
    if (note !== null) await this.note(sha256, note.name, note.row);
    if (pieces !== null && pieceLengthBytes !== null)
      await this.#parts.remote.keepRecord(sha256, { lengthBytes, pieces, pieceLengthBytes });
    if (!isThere) {
      const isNew = thereBytes === null && !this.#parts.remote.bad.has(sha256);
      if (await upload.place(sha256, isNew)) this.#blobBytes += lengthBytes - (thereBytes ?? 0);
      await this.#reader.dropChunks(sha256);
    }
    this.#parts.remote.bad.delete(sha256);
    this.#parts.remote.there(sha256, lengthBytes);
    // What was published just now is wanted soon.
    const spool = upload.spool;
    await upload.settled();
    if (this.#room.has(sha256) || !(await this.#room.make(0))) await spool.abort();
    else if (await this.#cache.commit(spool, null).catch(() => null)) this.#keep(sha256, lengthBytes);
    return { sha256, lengthBytes };
  }

  async stat(sha256: string): Promise<BlobStat | null> {
    return this.#parts.remote.stat(checked(sha256));
  }

  read(sha256: string, range: ByteRange): AsyncIterable<Uint8Array> {
    return this.#reader.read(sha256, range);
  }

  async place(sha256: string, fileName: string): Promise<Placed> {
    return this.#placed(`${sha256}/${fileName}`, [sha256], () => this.#cache.place(sha256, fileName));
  }

  async leave(sha256: string, fileName: string): Promise<void> {
    await this.#cache.leave(checked(sha256), fileName);
    this.#letGo(`${sha256}/${fileName}`);
  }

  placeAll(id: string, files: readonly PlacedFile[]): Promise<Placed> {
    const blobs = files.map(({ sha256 }) => sha256);
    return this.#placed(id, blobs, () => this.#cache.placeAll(id, files));
  }

  async leaveAll(id: string): Promise<void> {
    await this.#cache.leaveAll(id);
    this.#letGo(id);
  }

  /** As files where all are whole in the cache, where they stay until that view is left: that is faster. */
  async #placed(view: string, blobs: readonly string[], place: () => Promise<Placed | null>): Promise<Placed> {
    for (const sha256 of new Set(blobs)) await this.#parts.remote.lengthOf(checked(sha256));
    const source: ContentSource = {
      read: (file, begin, target, signal) => this.#reader.fill(blobs[file]!, begin, target, signal),
    };
    if (!blobs.every((sha256) => this.#room.has(sha256))) return { output: view, source };
    const releases = blobs.map((sha256) => this.#room.use(sha256));
    const placed = await place().catch((error: unknown) => {
      if (isLost(error)) return null;
      throw error;
    });
    this.#letGo(view);
    this.#views.set(view, () => {
      for (const release of releases) release();
    });
    if (placed !== null) return placed;
    // The copy of one is not what it was.
    this.#letGo(view);
    for (const sha256 of blobs) await this.#reader.drop(sha256);
    return { output: view, source };
  }

  #letGo(view: string): void {
    this.#views.get(view)?.();
    this.#views.delete(view);
  }

  async pieces(sha256: string): Promise<PieceRecord | null> {
    const found = await this.stat(sha256);
    if (found === null) return null;
    const { lengthBytes } = found;
    if (lengthBytes === 0) return { lengthBytes, pieces: null, pieceLengthBytes: null };
    const record = await this.#parts.remote.record(sha256, lengthBytes);
    if (record !== null) return record;
    const parts: Buffer[] = [];
    for await (const slice of this.read(sha256, { begin: 0, end: lengthBytes })) parts.push(Buffer.from(slice));
    return piecesOf(Buffer.concat(parts));
  }

  async names(sha256: string): Promise<ReadonlyMap<string, string>> {
    const keys: string[] = [];
    for await (const page of this.#objects.list(namesPrefix(checked(sha256)))) keys.push(...page.map(({ key }) => key));
    const texts: string[] = [];
    await forEachConcurrently(keys, S3_LIMITS.requestsAtOnce, async (key) => {
      texts.push((await this.#objects.getShort(key))?.toString('utf8') ?? '');
    });
    return parseNotes(texts.join('\n')).get(sha256) ?? new Map();
  }

  async sidecar(sha256: string): Promise<Sidecar | null> {
    const record = await this.pieces(sha256);
    return record === null ? null : { ...record, names: await this.names(sha256) };
  }

  async note(sha256: string, name: string, row: string | null): Promise<void> {
    this.#check();
    const key = nameKey(checked(sha256), name);
    if (row === null) await this.#objects.remove(key);
    else await this.#objects.put(key, Buffer.from(encodeNote(sha256, name, row)), false);
  }

  async verify(sha256: string, options: VerifyOptions = {}): Promise<boolean> {
    this.#checkOpen();
    if (await this.#parts.remote.verify(checked(sha256), options)) return true;
    await Promise.all([this.#reader.drop(sha256), this.#reader.dropChunks(sha256)]);
    return false;
  }

  async remove(sha256: string): Promise<boolean> {
    this.#check();
    const found = await this.stat(sha256);
    await this.#reader.drop(sha256);
    await this.#reader.dropChunks(sha256);
    this.#parts.remote.bad.delete(sha256);
    if (found === null) return false;
    await this.#objects.remove(blobKey(sha256));
    this.#parts.remote.forget(sha256);
    this.#blobBytes -= found.lengthBytes;
    await this.#objects.remove(piecesKey(sha256));
    for await (const page of this.#objects.list(namesPrefix(sha256)))
      await forEachConcurrently(page, S3_LIMITS.requestsAtOnce, ({ key }) => this.#objects.remove(key));
    return true;
  }

  async *list(): AsyncGenerator<BlobStat> {
    for await (const page of this.#objects.list(BLOBS)) {
      for (const { key, lengthBytes } of page) {
        const sha256 = blobOfKey(key);
        if (sha256 !== null) yield { sha256, lengthBytes };
      }
    }
  }

  /** Nobody knows how much a bucket takes. */
  space(): Promise<null> {
    return Promise.resolve(null);
  }

  /** Asked for by `/readyz`: whether the bucket answers. */
  #ready(): Promise<string> {
    const nowMs = this.#parts.now();
    if (this.#lastReady === null || nowMs - this.#lastReady.atMs > S3_LIMITS.readyMs) {
      const message = within(S3_LIMITS.readyWithinMs, this.#lookReady(), 'S3 does not answer in time');
      this.#lastReady = { atMs: nowMs, message };
    }
    return this.#lastReady.message;
  }

  /** Anybody may read it: no names of buckets. */
  async #lookReady(): Promise<string> {
    try {
      return (await this.#objects.head(MARK)) === null ? 'the bucket is not as it was: depot.json is gone' : '';
    } catch (error) {
      return `S3 cannot be used: ${HaulError.is(error) ? (error.facts.why ?? error.code) : 'unknown'}`;
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await Promise.all([...this.#open].map((upload) => upload.abort()));
    this.#objects.close();
    await Promise.all([this.#parts.remote.close(), this.#cache.close()]);
  }

  #check(): void {
    this.#checkOpen();
    if (this.#parts.isReadOnly)
      throw new HaulError('READ_ONLY', 'the store is only read', { where: this.#objects.title });
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new HaulError('CLOSED', 'the store was closed');
  }

  /** It is whole in the cache. */
  #keep(sha256: string, lengthBytes: number): void {
    this.#room.add(sha256, lengthBytes, () => this.#cache.remove(sha256));
  }
}
