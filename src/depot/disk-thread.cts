/**
 * A thread of the depot's store: hashes uploads while they are written, and does what many small files need of the
 * file system in one go. A hash that is begun stays with its thread. It knows paths and no rules; who asks is
 * `disk-threads.ts`.
 */
const { createHash } = require('node:crypto') as typeof import('node:crypto');
const fs = require('node:fs') as typeof import('node:fs');
const path = require('node:path') as typeof import('node:path');
const { parentPort, workerData } = require('node:worker_threads') as typeof import('node:worker_threads');

type Hash = import('node:crypto').Hash;

/** What a thread is started with. */
export interface DiskThreadData {
  /** Codes by which a file system says that it has no fsync. */
  readonly cannotForce: readonly string[];
}

/** A file that is written to its place under another name first. */
export interface SmallFile {
  readonly temporary: string;
  readonly place: string;
  readonly bytes: Uint8Array;
}

/** What becomes visible: a file that gets its name, what lies beside it, a line about it. */
export interface Settlement {
  /** Null: nothing is renamed. */
  readonly rename: { readonly from: string; readonly to: string } | null;
  /** Written under a temporary name, forced, renamed: before `rename`. */
  readonly beside: { readonly temporary: string; readonly place: string; readonly text: string } | null;
  /** Appended to a file of lines. */
  readonly line: { readonly file: string; readonly text: string } | null;
}

export type DiskTask =
  /** Hash the file up to this byte, SHA-1 of pieces too with a piece length. No answer but `hashed`. */
  | {
      readonly kind: 'hash';
      readonly upload: number;
      readonly path: string;
      readonly untilBytes: number;
      readonly pieceLengthBytes: number | null;
    }
  /** The rest of it, and the digests. */
  | {
      readonly kind: 'digest';
      readonly id: number;
      readonly upload: number;
      readonly path: string;
      readonly lengthBytes: number;
      readonly pieceLengthBytes: number | null;
    }
  /** SHA-1 of the pieces of bytes in shared memory, or SHA-256 of all of them where they have no length. */
  | {
      readonly kind: 'memory';
      readonly id: number;
      readonly bytes: Uint8Array;
      readonly pieceLengthBytes: number | null;
    }
  | { readonly kind: 'drop'; readonly upload: number }
  /** @param isForced each file is forced to the device; else who asks forces all */
  | { readonly kind: 'write'; readonly id: number; readonly files: readonly SmallFile[]; readonly isForced: boolean }
  | {
      readonly kind: 'settle';
      readonly id: number;
      readonly settlements: readonly Settlement[];
      readonly isForced: boolean;
    }
  /** Files that are not to be there. */
  | { readonly kind: 'remove'; readonly id: number; readonly files: readonly string[] }
  | { readonly kind: 'prepare'; readonly id: number; readonly root: string };

export interface Failure {
  readonly code: string | null;
  /** That it is about, where the system says so. */
  readonly path?: string;
  readonly message: string;
}

export interface Digests {
  /** Hexadecimal. */
  readonly sha256: string;
  readonly pieces: Uint8Array | null;
  /** Which file it was. */
  readonly inode: bigint;
}

export interface Prepared {
  readonly blobBytes: number;
}

/** What became of a settlement. */
export interface Settled {
  /** How long the file was that had the name before, 0 for none; null: nothing was renamed. Also where it failed. */
  readonly replacedBytes: number | null;
  readonly failure: Failure | null;
}

export type DiskAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: Failure }
  | { readonly upload: number; readonly hashedBytes: number }
  | { readonly upload: number; readonly failure: Failure };

/**
 * Both hashes see a part while it is in the processor's second cache. Regions of several pieces, hashed side by side,
 * come from memory twice and took half as long again.
 */
const STEP_BYTES = 192 * 1024;
/** Where a buffer begins in its page: see `native/page-buffer.ts`. */
const PAGE_BYTES = 4096;
const ALLOCATOR_BYTES = 16;
const OPEN_FLAGS = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOFOLLOW;
const MAKE_FLAGS = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
/** A pipe in the place of the file is an error: it would be waited for, and with it all that is published. */
const APPEND_FLAGS =
  fs.constants.O_WRONLY |
  fs.constants.O_CREAT |
  fs.constants.O_APPEND |
  fs.constants.O_NOFOLLOW |
  fs.constants.O_NONBLOCK;
/** Lines are written anew, without those that are over, when there are twice as many as then. */
const LINES_MIN_BYTES = 256 * 1024;
const CANNOT_FORCE: ReadonlySet<string> = new Set((workerData as DiskThreadData).cannotForce);
const BLOB = /^[0-9a-f]{64}$/;
const SIDECAR = /^([0-9a-f]{64})\.json$/;
const TEMPORARY = /^[0-9a-f]{16}-\d+(?:\.json)?$/;
const VIEW = /^[0-9a-f]{40}$/;

const buffer = Buffer.allocUnsafeSlow(PAGE_BYTES + STEP_BYTES).subarray(PAGE_BYTES - ALLOCATOR_BYTES, -ALLOCATOR_BYTES);

class FileHash {
  readonly #fd: number;
  readonly #pieceLengthBytes: number | null;
  readonly #whole = createHash('sha256');
  #piece: Hash | null = null;
  #pieceBytes = 0;
  readonly #pieces: Buffer[] = [];
  doneBytes = 0;

  constructor(file: string, pieceLengthBytes: number | null) {
    this.#fd = fs.openSync(file, OPEN_FLAGS);
    this.#pieceLengthBytes = pieceLengthBytes;
  }

  until(untilBytes: number): void {
    while (this.doneBytes < untilBytes) {
      const part = readSome(this.#fd, this.doneBytes, untilBytes);
      this.#whole.update(part);
      if (this.#pieceLengthBytes !== null) this.#updatePieces(part, this.#pieceLengthBytes);
      this.doneBytes += part.length;
    }
  }

  digests(pieceLengthBytes: number | null): Digests {
    if (pieceLengthBytes !== null && this.#pieceLengthBytes === null) {
      // Only now it is known how long the pieces are.
      for (let at = 0; at < this.doneBytes; ) {
        const part = readSome(this.#fd, at, this.doneBytes);
        this.#updatePieces(part, pieceLengthBytes);
        at += part.length;
      }
    }
    if (this.#piece !== null) this.#pieces.push(this.#piece.digest());
    const { ino } = fs.fstatSync(this.#fd, { bigint: true });
    const pieces = pieceLengthBytes === null ? null : new Uint8Array(Buffer.concat(this.#pieces));
    return { sha256: this.#whole.digest('hex'), pieces, inode: ino };
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #updatePieces(part: Buffer, pieceLengthBytes: number): void {
    for (let at = 0; at < part.length; ) {
      this.#piece ??= createHash('sha1');
      const count = Math.min(part.length - at, pieceLengthBytes - this.#pieceBytes);
      this.#piece.update(part.subarray(at, at + count));
      at += count;
      this.#pieceBytes += count;
      if (this.#pieceBytes < pieceLengthBytes) continue;
      this.#pieces.push(this.#piece.digest());
      this.#piece = null;
      this.#pieceBytes = 0;
    }
  }
}

/** Valid until the next call. */
function readSome(fd: number, at: number, untilBytes: number): Buffer {
  const count = fs.readSync(fd, buffer, 0, Math.min(STEP_BYTES, untilBytes - at), at);
  if (count === 0) throw new Error('the file is shorter than it was');
  return buffer.subarray(0, count);
}

const hashes = new Map<number, FileHash>();

function hashOf(upload: number, file: string, pieceLengthBytes: number | null): FileHash {
  const known = hashes.get(upload) ?? new FileHash(file, pieceLengthBytes);
  hashes.set(upload, known);
  return known;
}

function drop(upload: number): void {
  hashes.get(upload)?.close();
  hashes.delete(upload);
}

function digest(task: Extract<DiskTask, { kind: 'digest' }>): Digests {
  try {
    const hash = hashOf(task.upload, task.path, task.pieceLengthBytes);
    hash.until(task.lengthBytes);
    return hash.digests(task.pieceLengthBytes);
  } finally {
    drop(task.upload);
  }
}

function force(fd: number): void {
  try {
    fs.fsyncSync(fd);
  } catch (error) {
    if (!CANNOT_FORCE.has(String((error as NodeJS.ErrnoException).code))) throw error;
  }
}

function forcePath(file: string): void {
  const fd = fs.openSync(file, OPEN_FLAGS);
  try {
    force(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function makeFile(file: string, content: Uint8Array | string, isForced: boolean, mode = 0o444): void {
  const fd = fs.openSync(file, MAKE_FLAGS, mode);
  let isDone = false;
  try {
    fs.writeFileSync(fd, content);
    if (isForced) force(fd);
    isDone = true;
  } finally {
    fs.closeSync(fd);
    if (!isDone) fs.rmSync(file, { force: true });
  }
}

/** The very bytes are in that place already. */
function holds(place: string, bytes: Uint8Array): boolean {
  let fd: number;
  try {
    fd = fs.openSync(place, OPEN_FLAGS);
  } catch {
    return false;
  }
  try {
    const status = fs.fstatSync(fd);
    return status.isFile() && status.size === bytes.length && fs.readFileSync(fd).equals(bytes);
  } catch {
    return false;
  } finally {
    fs.closeSync(fd);
  }
}

/** True: a file of the temporary name is there now; false: the place holds the bytes already. */
function writeSmall({ temporary, place, bytes }: SmallFile, isForced: boolean): boolean {
  if (holds(place, bytes)) {
    if (isForced) forcePath(place);
    return false;
  }
  makeFile(temporary, bytes, isForced);
  return true;
}

/** By file of lines: how long it may become before it is written anew. */
const lineLimits = new Map<string, number>();

function appendLine({ file, text }: { readonly file: string; readonly text: string }, isForced: boolean): void {
  const fd = fs.openSync(file, APPEND_FLAGS, 0o644);
  let size: number;
  try {
    const status = fs.fstatSync(fd);
    if (!status.isFile()) throw new Error('it is no file');
    // A line may have been cut off by a crash: the next one begins on its own.
    fs.writeFileSync(fd, `\n${text}`);
    size = status.size;
    if (isForced) force(fd);
  } finally {
    fs.closeSync(fd);
  }
  if (size > (lineLimits.get(file) ?? LINES_MIN_BYTES)) shorten(file);
}

/** Keeps the last word about each name. What fails leaves the file as it is. */
function shorten(file: string): void {
  const temporary = `${file}.new`;
  try {
    const last = new Map<string, Map<string, string>>();
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
      try {
        const [sha256, name, row] = JSON.parse(line) as [string, string | null, string | null];
        if (name === null) last.delete(sha256);
        else if (row === null) last.get(sha256)?.delete(name);
        else last.set(sha256, (last.get(sha256) ?? new Map<string, string>()).set(name, line));
      } catch {}
    }
    const text = [...last.values()].flatMap((lines) => [...lines.values()].map((line) => `\n${line}`)).join('');
    fs.rmSync(temporary, { force: true });
    makeFile(temporary, text, true, 0o644);
    fs.renameSync(temporary, file);
    lineLimits.set(file, Math.max(LINES_MIN_BYTES, 2 * Buffer.byteLength(text)));
  } catch {
    attempt(() => fs.rmSync(temporary, { force: true }));
  }
}

/** Of a folder that somebody made in the place of a file of ours; more of them have a number behind it. */
const ASIDE = 'in-the-way';

/** As `rename`; a folder cannot be replaced by a file, and what is in it is somebody's: it gets another name. */
function takePlace(from: string, to: string): void {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    if (fs.lstatSync(to, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
    let aside = `${to}.${ASIDE}`;
    for (let number = 2; fs.lstatSync(aside, { throwIfNoEntry: false }) !== undefined; number++)
      aside = `${to}.${ASIDE}-${number}`;
    fs.renameSync(to, aside);
    fs.renameSync(from, to);
  }
}

/** What we left; a folder of that name is somebody else's, and stays. */
function sweepFile(file: string): void {
  if (fs.lstatSync(file).isDirectory()) return;
  fs.unlinkSync(file);
}

/** @param renamed told at once, with the length of the file that had the name */
function settleOne({ rename, beside, line }: Settlement, isForced: boolean, renamed: (bytes: number) => void): void {
  if (beside !== null) {
    fs.rmSync(beside.temporary, { force: true });
    makeFile(beside.temporary, beside.text, true, 0o644);
    takePlace(beside.temporary, beside.place);
  }
  if (rename !== null) {
    const before = fs.lstatSync(rename.to, { throwIfNoEntry: false });
    takePlace(rename.from, rename.to);
    renamed(before?.isFile() === true ? before.size : 0);
  }
  if (line !== null) appendLine(line, isForced);
}

type Outcome = { readonly value: unknown } | { readonly failure: Failure };

function attempt(work: () => unknown): Outcome {
  try {
    return { value: work() ?? null };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

function failureIn(work: () => void): Failure | null {
  const outcome = attempt(work);
  return 'failure' in outcome ? outcome.failure : null;
}

function settle(settlements: readonly Settlement[], isForced: boolean): Settled[] {
  const folders = new Map<string, Failure | null>();
  const settled = settlements.map((one) => {
    let replacedBytes: number | null = null;
    const failure = failureIn(() =>
      settleOne(one, isForced, (bytes) => {
        replacedBytes = bytes;
      }),
    );
    const place = one.rename?.to ?? one.beside?.place ?? one.line?.file ?? null;
    const folder = place === null ? null : path.dirname(place);
    if (folder !== null) folders.set(folder, null);
    return { replacedBytes, failure, folder };
  });
  if (isForced)
    for (const folder of folders.keys())
      folders.set(
        folder,
        failureIn(() => forcePath(folder)),
      );
  return settled.map(({ replacedBytes, failure, folder }) => ({
    replacedBytes,
    failure: failure ?? (folder === null ? null : folders.get(folder)!),
  }));
}

/** @returns whether it was made */
function makeFolder(folder: string): boolean {
  try {
    // Under no umask anybody else may write there.
    fs.mkdirSync(folder, 0o755);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (fs.lstatSync(folder).isDirectory()) return false;
    throw Object.assign(new Error(`${folder} is no folder`), { code: 'ENOTDIR', path: folder });
  }
}

/** Folders are made, what an end without warning left is removed, blobs are counted. Links are never followed. */
function prepare(root: string): Prepared {
  let blobBytes = 0;
  const [temporary, views, places] = [path.join(root, 'tmp'), path.join(root, 'views'), path.join(root, 'blobs')];
  const madeFolders = [temporary, views, places].map(makeFolder);
  for (const name of fs.readdirSync(temporary)) if (TEMPORARY.test(name)) sweepFile(path.join(temporary, name));
  for (const view of fs.readdirSync(views)) {
    const folder = path.join(views, view);
    if (!VIEW.test(view) || !fs.lstatSync(folder).isDirectory()) continue;
    fs.rmSync(folder, { recursive: true });
  }
  for (let index = 0; index < 256; index++) {
    const folder = path.join(places, index.toString(16).padStart(2, '0'));
    madeFolders.push(makeFolder(folder));
    if (madeFolders.at(-1) === true) continue;
    const names = new Set(fs.readdirSync(folder));
    for (const name of names) {
      const place = path.join(folder, name);
      const owner = SIDECAR.exec(name)?.[1];
      if ((owner !== undefined && !names.has(owner)) || name === 'names.new') sweepFile(place);
      if (!BLOB.test(name)) continue;
      const status = fs.lstatSync(place);
      if (!status.isFile()) continue;
      blobBytes += status.size;
    }
  }
  if (madeFolders.includes(true)) for (const folder of [root, places]) forcePath(folder);
  return { blobBytes };
}

function failureOf(error: unknown): Failure {
  const { code, message, path: file } = error as NodeJS.ErrnoException;
  return { code: code ?? null, message, ...(file === undefined ? {} : { path: file }) };
}

function digestMemory(bytes: Uint8Array, pieceLengthBytes: number | null): Uint8Array {
  if (pieceLengthBytes === null) return new Uint8Array(createHash('sha256').update(bytes).digest());
  const digests: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceLengthBytes)
    digests.push(
      createHash('sha1')
        .update(bytes.subarray(at, at + pieceLengthBytes))
        .digest(),
    );
  return new Uint8Array(Buffer.concat(digests));
}

function perform(task: DiskTask): unknown {
  if (task.kind === 'memory') return digestMemory(task.bytes, task.pieceLengthBytes);
  if (task.kind === 'digest') return digest(task);
  if (task.kind === 'write') return task.files.map((file) => attempt(() => writeSmall(file, task.isForced)));
  if (task.kind === 'settle') return settle(task.settlements, task.isForced);
  if (task.kind === 'remove') return task.files.map((file) => attempt(() => fs.rmSync(file, { force: true })));
  if (task.kind === 'prepare') return prepare(task.root);
  if (task.kind === 'drop') return drop(task.upload);
  const hash = hashOf(task.upload, task.path, task.pieceLengthBytes);
  hash.until(task.untilBytes);
  return hash.doneBytes;
}

parentPort!.on('message', (task: DiskTask) => {
  const answer = (said: DiskAnswer): void => parentPort!.postMessage(said);
  try {
    const value = perform(task);
    if ('id' in task) answer({ id: task.id, value });
    else if (task.kind === 'hash') answer({ upload: task.upload, hashedBytes: value as number });
  } catch (error) {
    const failure = failureOf(error);
    if ('id' in task) answer({ id: task.id, failure });
    else answer({ upload: task.upload, failure });
  }
});
