/**
 * The store in a folder: `layout.ts` says where things lie. One process owns it. Invariant: a blob gets its name only
 * when its bytes are on the device, and what is read of it is what was committed, or an error.
 */
import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, readdir, unlink } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { choosePieceLength } from '../../content/create.js';
import { fromSystemError, HaulError } from '../../errors.js';
import { forEachConcurrently } from '../../storage/concurrently.js';
import { DiskThread, type Settlement } from '../disk-threads.js';
import { DEPOT_LIMITS } from '../limits.js';
import { isOneOf, isUnreadable, passOver } from './codes.js';
import { GroupCommit, type Hands, openForce } from './group.js';
import { KnownBlobs } from './known-blobs.js';
import { isSha256, Layout, SMALL_BYTES } from './layout.js';
import { NotedNames } from './noted-names.js';
import { claimFolder, type FolderClaim, lookIntoFolder } from './own.js';
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
  UploadOptions,
  VerifyOptions,
} from './port.js';
import { type Opened, readSlices } from './reading.js';
import { Room, spaceOf } from './room.js';
import { encodeNote, encodeRecord } from './sidecar.js';
import { FolderUpload, type Uploads } from './upload.js';
import { hashFile } from './verify.js';
import { leaveFile, leaveFiles, placeFile, placeFiles } from './view-folder.js';

const STATS_AT_ONCE = 16;

export interface FolderStoreOptions {
  /** Made when missing. One that is not a depot's is not touched. */
  readonly folder: string;
  /** Nothing in the folder is changed, also nothing that was under way removed; what would change it is READ_ONLY. */
  readonly isReadOnly?: boolean;
  /** With `isReadOnly`: the depot that has it may run on. What it changes meanwhile is seen, or not. */
  readonly isBeside?: boolean;
  /** It can be had again from elsewhere: nothing is forced to the device. */
  readonly isCache?: boolean;
  /** Tests put their own steps between. */
  readonly wrapHands?: (hands: Hands) => Hands;
}

/** @throws HaulError IN_USE, BAD_ARGUMENT (not a depot's folder), and what the file system says */
export async function openFolderStore(options: FolderStoreOptions): Promise<FolderStore> {
  const { folder, isReadOnly = false } = options;
  const claim = await (isReadOnly ? lookIntoFolder(folder, options.isBeside ?? false) : claimFolder(folder));
  const files = new DiskThread();
  if (isReadOnly) return new FolderStore(claim, files, 0, options);
  try {
    const prepared = await files.prepare(claim.root);
    return new FolderStore(claim, files, prepared.blobBytes, options);
  } catch (error) {
    await files.close();
    await claim.release();
    throw error;
  }
}

export class FolderStore implements BlobStore {
  readonly #layout: Layout;
  readonly #claim: FolderClaim;
  readonly #files: DiskThread;
  readonly #hashers: DiskThread[];
  readonly #group: GroupCommit;
  readonly #uploads: Uploads;
  readonly #open = new Set<FolderUpload>();
  readonly #known: KnownBlobs;
  readonly #run = randomBytes(8).toString('hex');
  #lastUpload = 0;
  #blobBytes: number;
  readonly #noted: NotedNames;
  /** Blobs that are gone, of which the file of lines could not be told. */
  readonly #namesToForget = new Set<string>();
  readonly #isReadOnly: boolean;
  #isClosed = false;

  constructor(claim: FolderClaim, files: DiskThread, blobBytes: number, options: FolderStoreOptions) {
    this.#claim = claim;
    this.#layout = new Layout(claim.root);
    this.#noted = new NotedNames(this.#layout);
    const room = new Room(claim.root);
    const isForced = options.isCache !== true;
    this.#uploads = { heldBytes: 0, fileBytes: 0, isForced, claim: (lengthBytes) => room.claim(lengthBytes) };
    this.#files = files;
    this.#blobBytes = blobBytes;
    const threads = Math.min(DEPOT_LIMITS.hashThreads, availableParallelism());
    this.#hashers = Array.from({ length: threads }, () => new DiskThread());
    const hands: Hands = {
      write: (small, isAlone) => this.#there(() => files.write(small, isForced && isAlone)),
      settle: (settlements, isAlone) => this.#there(() => files.settle(settlements, isForced && isAlone)),
      remove: (leftovers) => this.#there(() => files.remove(leftovers)),
      openForce: async () => (isForced ? openForce(claim.root) : null),
    };
    this.#isReadOnly = options.isReadOnly ?? false;
    this.#group = new GroupCommit(options.wrapHands?.(hands) ?? hands);
    this.#known = new KnownBlobs(this.#layout, {
      digest: (path, lengthBytes) => {
        const pieceLengthBytes = choosePieceLength(lengthBytes);
        return hashFile(this.#hasher(), ++this.#lastUpload, path, { lengthBytes, pieceLengthBytes });
      },
      keep: async (sha256, text) => {
        if (this.#isReadOnly) return;
        const temporary = this.#layout.temporary(`${this.#run}-${++this.#lastUpload}.json`);
        const beside = { temporary, place: this.#layout.sidecar(sha256), text };
        await this.#group.commit({ small: null, settlement: { rename: null, beside, line: null } });
      },
    });
  }

  get usedBytes(): number {
    return this.#blobBytes + this.#uploads.fileBytes;
  }

  get uploadBytes(): number {
    return this.#uploads.fileBytes;
  }

  async create(options: UploadOptions): Promise<FolderUpload> {
    return (await this.#begin(options, (upload) => upload.begin()))!;
  }

  adopt(file: string, options: UploadOptions): Promise<BlobUpload | null> {
    return this.#begin(options, (upload) => upload.adopt(file));
  }

  /** @param begin false: nothing came of it */
  async #begin(
    options: UploadOptions,
    begin: (upload: FolderUpload) => Promise<boolean>,
  ): Promise<FolderUpload | null> {
    this.#check();
    await this.#claim.check();
    const number = ++this.#lastUpload;
    const path = this.#layout.temporary(`${this.#run}-${number}`);
    const upload = new FolderUpload(number, path, options, this.#uploads, () => this.#hasher());
    this.#open.add(upload);
    let isBegun = false;
    try {
      isBegun = await begin(upload);
    } finally {
      if (!isBegun) await this.#drop(upload);
    }
    upload.onOver = () => this.#open.delete(upload);
    return isBegun ? upload : null;
  }

  async commit(given: BlobUpload, note: NameNote | null): Promise<BlobStat> {
    const upload = given as FolderUpload;
    try {
      this.#check();
      return await this.#commit(upload, note);
    } catch (error) {
      throw fromSystemError(error, 'store', this.#claim.root);
    } finally {
      await this.#drop(upload);
    }
  }

  async #commit(upload: FolderUpload, note: NameNote | null): Promise<BlobStat> {
    const { sha256, lengthBytes, pieces, pieceLengthBytes, stamp } = upload.finished;
    const [place, bytes] = [this.#layout.blob(sha256), upload.bytes];
    const line = note === null ? null : this.#line(sha256, note.name, note.row);
    let settlement: Settlement = { rename: { from: upload.path, to: place }, beside: null, line };
    if (stamp !== null) {
      if (await this.#known.isGood(sha256)) settlement = { rename: null, beside: null, line };
      else {
        const text = encodeRecord({ lengthBytes, pieces, pieceLengthBytes, stamp });
        const beside = { temporary: `${upload.path}.json`, place: this.#layout.sidecar(sha256), text };
        settlement = { ...settlement, beside };
      }
    }
    const small = bytes === null ? null : { temporary: upload.path, place, bytes };
    const onReplaced = (replacedBytes: number): void => {
      this.#blobBytes -= replacedBytes;
      this.#known.forget(sha256);
    };
    if (await this.#group.commit({ small, settlement, onReplaced })) {
      this.#blobBytes += lengthBytes;
      this.#known.committed(sha256, stamp);
      await upload.settled();
    }
    return { sha256, lengthBytes };
  }

  async stat(sha256: string): Promise<BlobStat | null> {
    const status = await this.#look(this.#layout.blob(checked(sha256)));
    return status === null ? null : { sha256, lengthBytes: status.size };
  }

  async *read(sha256: string, range: ByteRange): AsyncGenerator<Uint8Array> {
    const { begin, end } = range;
    if (!(Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end)) {
      throw new HaulError('BAD_ARGUMENT', `no range of bytes: ${begin} to ${end}`, { option: 'range' });
    }
    const opened = await this.#known.open(checked(sha256)).catch((error: unknown) => this.#gone(error));
    const { handle, stamp } = opened;
    const bytes = stamp.sizeBytes > SMALL_BYTES ? null : await this.#known.readSmall(opened, sha256);
    if (end > stamp.sizeBytes) {
      if (bytes === null) await handle.close();
      throw new HaulError('BAD_ARGUMENT', `the blob ${sha256} ends before byte ${end}`, { option: 'range' });
    }
    if (bytes === null) yield* this.#slices(opened, range, sha256);
    else if (begin < end) yield bytes.subarray(begin, end);
  }

  async *#slices(opened: Opened, range: ByteRange, sha256: string): AsyncGenerator<Uint8Array> {
    try {
      yield* readSlices(opened, range, sha256);
    } catch (error) {
      this.#known.doubt(sha256);
      throw fromSystemError(error, 'read', this.#layout.blob(sha256));
    }
  }

  place(sha256: string, fileName: string): Promise<Placed | null> {
    return this.#there(() => placeFile(this.#layout, this.#known, checked(sha256), fileName));
  }

  leave(sha256: string, fileName: string): Promise<void> {
    return this.#there(() => leaveFile(this.#layout, checked(sha256), fileName)).catch(() => {});
  }

  placeAll(id: string, files: readonly PlacedFile[]): Promise<Placed | null> {
    return this.#there(() => placeFiles(this.#layout, this.#known, id, files));
  }

  leaveAll(id: string): Promise<void> {
    return this.#there(() => leaveFiles(this.#layout, id)).catch(() => {});
  }

  async pieces(sha256: string): Promise<PieceRecord | null> {
    if ((await this.stat(sha256)) === null) return null;
    const { lengthBytes, pieces, pieceLengthBytes } = await this.#known.trusted(sha256);
    return { lengthBytes, pieces, pieceLengthBytes };
  }

  async sidecar(sha256: string): Promise<Sidecar | null> {
    const record = await this.pieces(sha256);
    return record === null ? null : { ...record, names: await this.names(sha256) };
  }

  async note(sha256: string, name: string, row: string | null): Promise<void> {
    this.#check();
    const line = this.#line(checked(sha256), name, row);
    await this.#group.commit({ small: null, settlement: { rename: null, beside: null, line } });
  }

  async verify(sha256: string, options: VerifyOptions = {}): Promise<boolean> {
    this.#checkOpen();
    const place = this.#layout.blob(checked(sha256));
    const status = await this.#look(place);
    if (status === null) throw new HaulError('NOT_FOUND', `the blob ${sha256} is not there`, { sha256 });
    const file = { lengthBytes: status.size, pieceLengthBytes: null };
    const hashing = hashFile(this.#hasher(), ++this.#lastUpload, place, file, options);
    const { sha256: found } = await hashing.catch((error: unknown) => {
      if (isUnreadable(error)) this.#known.doubt(sha256);
      throw error;
    });
    if (found === sha256) return true;
    if (this.#isReadOnly) return false;
    // Without its record it is hashed before it is read.
    await this.#claim.check();
    this.#known.forget(sha256);
    await unlink(this.#layout.sidecar(sha256)).catch(passOver('ENOENT'));
    return false;
  }

  async remove(sha256: string): Promise<boolean> {
    this.#check();
    const place = this.#layout.blob(checked(sha256));
    const status = await this.#look(place);
    this.#known.forget(sha256);
    if (status === null) return false;
    await this.#claim.check();
    try {
      await unlink(place);
      this.#blobBytes -= status.size;
      await unlink(this.#layout.sidecar(sha256)).catch(passOver('ENOENT'));
      await this.#forgetNames(sha256);
      return true;
    } catch (error) {
      if (isOneOf(error, ['ENOENT'])) return false;
      throw fromSystemError(error, 'remove', place);
    }
  }

  async *list(): AsyncGenerator<BlobStat> {
    for (let index = 0; index < 256; index++) {
      const folder = join(this.#layout.blobs, index.toString(16).padStart(2, '0'));
      // Where nothing was made in it nothing is in it.
      const names = await readdir(folder)
        .catch(passOver('ENOENT'))
        .catch((error) => {
          throw fromSystemError(error, 'read', folder);
        });
      if (names === null) continue;
      const found: BlobStat[] = [];
      await forEachConcurrently(names.filter(isSha256), STATS_AT_ONCE, async (sha256) => {
        const status = await this.#look(join(folder, sha256));
        if (status !== null) found.push({ sha256, lengthBytes: status.size });
      });
      yield* found;
    }
  }

  check(): Promise<void> {
    return this.#claim.check();
  }

  space(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    return this.#there(() => spaceOf(this.#claim.root));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#group.idle();
    for (const upload of [...this.#open]) await this.#drop(upload);
    await Promise.all([this.#files, ...this.#hashers].map((thread) => thread.close()));
    await this.#claim.release();
  }

  /** Where another folder is in the place of ours it may hold the same blobs, and they are not ours to touch. */
  #there<T>(work: () => Promise<T>): Promise<T> {
    return this.#claim.check().then(work);
  }

  #check(): void {
    this.#checkOpen();
    if (this.#isReadOnly) throw new HaulError('READ_ONLY', 'the store is only read', { where: this.#claim.root });
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new HaulError('CLOSED', 'the store was closed');
  }

  async #drop(upload: FolderUpload): Promise<void> {
    this.#open.delete(upload);
    await upload.abort();
  }

  #line(sha256: string, name: string, row: string | null): Settlement['line'] {
    const gone = this.#namesToForget.has(sha256) ? `${encodeNote(sha256, null, null)}\n` : '';
    return { file: this.#layout.names(sha256), text: `${gone}${encodeNote(sha256, name, row)}` };
  }

  /**
   * The blob is gone: what was noted beside it must not come true when the same bytes come again. Before its next note
   * is time enough, so nothing is forced, and where there is no room that note says it.
   */
  async #forgetNames(sha256: string): Promise<void> {
    this.#namesToForget.add(sha256);
    const line = { file: this.#layout.names(sha256), text: encodeNote(sha256, null, null) };
    const [outcome] = await this.#files.settle([{ rename: null, beside: null, line }], false).catch(() => []);
    if (outcome?.failure === null) this.#namesToForget.delete(sha256);
  }

  #hasher(): DiskThread {
    return this.#hashers.reduce((least, thread) => (thread.load < least.load ? thread : least));
  }

  /** Null: no file. */
  async #look(place: string): Promise<Stats | null> {
    const found = lstat(place).catch(passOver('ENOENT'));
    const status = await found.catch((error) => {
      throw fromSystemError(error, 'look at', place);
    });
    if (status?.isFile() === true) return status;
    await this.#claim.check();
    return null;
  }

  /** What is not there is lost only where the folder is. */
  async #gone(error: unknown): Promise<never> {
    if (HaulError.is(error) && error.code === 'NOT_FOUND') await this.#claim.check();
    throw error;
  }

  names(sha256: string): Promise<ReadonlyMap<string, string>> {
    return this.#noted.of(checked(sha256));
  }
}

function checked(sha256: string): string {
  if (isSha256(sha256)) return sha256;
  throw new HaulError('BAD_ARGUMENT', 'a blob is named by 64 lower-case hexadecimal digits', { option: 'sha256' });
}
