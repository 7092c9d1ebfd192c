/**
 * The record of verified pieces, kept beside the data and replaced atomically.
 *
 *   "haul-resume 1\n" | info-hash 20 | flags 1 (1: clean end) | pieces u32 | files u32 | bits | (size f64, mtimeNs i64) per file
 *   | SHA-256 of all that
 *   "haul-resume 2\n" | the same | a bit for each skipped file | (size, mtimeNs) of the part file | SHA-256 of all that
 *
 * The second is written when files are skipped: what is recorded lies where that selection put it.
 * Numbers are big-endian. The length follows from the torrent, so a record of any other length is damaged.
 * Invariant: nothing in a record is believed unless all of it is whole, the files still look as they did then, and the piece
 * still has its bytes in the same places.
 */
import { createHash } from 'node:crypto';
import { type BigIntStats, constants, statSync } from 'node:fs';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError } from '../errors.js';
import { Bitfield, isCanonicalBitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { Selection } from '../metainfo/selection.js';
import { stateName } from '../metainfo/state-names.js';
import { forEachConcurrently } from './concurrently.js';
import { FileLayout, partFileName } from './layout.js';

const MAGIC = Buffer.from('haul-resume 1\n', 'latin1');
const MAGIC_SELECTION = Buffer.from('haul-resume 2\n', 'latin1');
const HEADER_BYTES = MAGIC.length + 20 + 1 + 4 + 4;
const FILE_BYTES = 16;
const CHECKSUM_BYTES = 32;
const CLEAN = 1;

const STATS_AT_ONCE = 8;
/** Above this many files an asynchronous stat each costs the main thread ten times the call itself. */
const STATS_ASYNC = 256;
/** Files looked at before other work gets its turn: about a millisecond. */
const STATS_IN_A_ROW = 400;

export interface ResumeVerdict {
  /** Pieces that need no check. */
  readonly trusted: Bitfield;
  /** Pieces that must be hashed before they count. */
  readonly recheck: Bitfield;
  /** By file: the record knows it, so that it is ours, whatever it looks like now. */
  readonly ours: Bitfield;
  /** Why there is a record that could not be used, or null. */
  readonly problem: string | null;
}

interface FileStamp {
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
}

/** A file that was not there when the record was written. */
const ABSENT: FileStamp = { sizeBytes: -1, mtimeNs: 0n };

interface ResumeRecord {
  readonly isClean: boolean;
  readonly bits: Bitfield;
  readonly files: readonly FileStamp[];
  /** Null: no file was skipped. */
  readonly skipped: { readonly files: Bitfield; readonly partFile: FileStamp } | null;
}

export function resumePath(metainfo: Metainfo, output: string): string {
  return join(output, stateName(metainfo.infoHashHex, 'resume'));
}

export function partFilePath(metainfo: Metainfo, output: string): string {
  return join(output, partFileName(metainfo));
}

/** The part file serves nobody any more: every file has its own bytes. @throws HaulError */
export async function removePartFile(metainfo: Metainfo, output: string): Promise<void> {
  const path = partFilePath(metainfo, output);
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw fromSystemError(error, 'remove', path);
  });
}

/**
 * Writes the record: temporary name, fsync, rename, fsync of the folder. Files are looked at now.
 * @param selection where the pieces lie; null: no file is skipped
 * @throws HaulError
 */
export async function saveResume(
  metainfo: Metainfo,
  output: string,
  synced: Bitfield,
  isClean: boolean,
  selection: Selection | null = null,
): Promise<void> {
  const path = resumePath(metainfo, output);
  const temporary = `${path}.tmp`;
  try {
    const files = await stampFiles(metainfo, output, selection);
    const skipped =
      selection === null || selection.isWhole
        ? null
        : { files: selection.skippedFiles, partFile: await stampPartFile(metainfo, output) };
    const bytes = encodeResume(metainfo, { isClean, bits: synced, files, skipped });
    // Not followed, should somebody have put a link there.
    await unlink(temporary).catch(() => {});
    const handle = await open(temporary, 'wx', 0o644);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(output);
  } catch (error) {
    throw fromSystemError(error, 'write the resume record', path);
  }
}

/**
 * What of the data on disk counts. Never throws for what it finds there.
 * A recorded piece is trusted while all its files have the recorded size and mtime; other recorded pieces are to be checked.
 * After an unclean end, or without a usable record, all others with data on disk are to be checked too: a verified piece must
 * not be downloaded again.
 * Only pieces that `selection` wants count; recorded ones whose bytes lay elsewhere under the selection of then are to be checked.
 */
export async function loadResume(
  metainfo: Metainfo,
  output: string,
  selection: Selection | null = null,
): Promise<ResumeVerdict> {
  const now = await stampFiles(metainfo, output, selection);
  const read = await readRecord(metainfo, output);
  const record = typeof read === 'string' ? null : read;
  const trusted = new Bitfield(metainfo.geometry.pieceCount);
  const recheck = new Bitfield(metainfo.geometry.pieceCount);
  const spans = new PieceSpans(metainfo);
  const isSame = now.map((stamp, file) => isSameFile(stamp, record?.files[file]));
  const hasData = now.map((stamp) => stamp.sizeBytes > 0);
  const changed = spans.touching((file) => selection?.isSkipped(file) !== true && !isSame[file]);
  for (const piece of await movedPieces(metainfo, output, record, selection)) changed.set(piece);
  const present = spans.touching((file) => hasData[file] === true);
  for (let piece = 0; piece < trusted.bitCount; piece++) {
    if (selection?.isWanted(piece) === false) continue;
    const isRecorded = record?.bits.has(piece) === true;
    if (isRecorded && !changed.has(piece)) trusted.set(piece);
    else if (isRecorded || ((record === null || !record.isClean || changed.has(piece)) && present.has(piece))) {
      recheck.set(piece);
    }
  }
  const ours = new Bitfield(now.length);
  record?.files.forEach(({ sizeBytes }, file) => {
    if (sizeBytes !== ABSENT.sizeBytes) ours.set(file);
  });
  return { trusted, recheck, ours, problem: typeof read === 'string' ? read : null };
}

/**
 * Pieces with bytes in the part file, then or now, whose places are not the same any more, or whose part file is not: the
 * selection is another one, or somebody touched it.
 */
async function movedPieces(
  metainfo: Metainfo,
  output: string,
  record: ResumeRecord | null,
  selection: Selection | null,
): Promise<readonly number[]> {
  if (record === null || (record.skipped === null && selection === null)) return [];
  const { geometry } = metainfo;
  const then = record.skipped === null ? null : Selection.without(metainfo, record.skipped.files);
  const isPartFileSame = isSameFile(await stampPartFile(metainfo, output), record.skipped?.partFile);
  const before = new FileLayout(metainfo, then);
  const after = new FileLayout(metainfo, selection);
  const bordersThen = then?.borders();
  const bordersNow = selection?.borders();
  const suspects = Array.from({ length: geometry.pieceCount }, (_, piece) => piece).filter(
    (piece) => bordersThen?.has(piece) || bordersNow?.has(piece) || then?.isWanted(piece) === false,
  );
  return suspects.filter((piece) => {
    const begin = geometry.pieceBegin(piece as PieceIndex);
    const length = geometry.pieceLength(piece as PieceIndex);
    const places = (layout: FileLayout): string => JSON.stringify(layout.segments(begin, length));
    return !isPartFileSame || places(before) !== places(after);
  });
}

export function encodeResume(metainfo: Metainfo, record: ResumeRecord): Buffer {
  const { skipped } = record;
  const bytes = Buffer.alloc(recordBytes(metainfo, skipped !== null));
  let at = (skipped === null ? MAGIC : MAGIC_SELECTION).copy(bytes);
  at += metainfo.infoHash.copy(bytes, at);
  at = bytes.writeUInt8(record.isClean ? CLEAN : 0, at);
  at = bytes.writeUInt32BE(record.bits.bitCount, at);
  at = bytes.writeUInt32BE(record.files.length, at);
  bytes.set(record.bits.bytes, at);
  at += record.bits.bytes.length;
  for (const stamp of record.files) at = writeStamp(bytes, at, stamp);
  if (skipped !== null) {
    bytes.set(skipped.files.bytes, at);
    at = writeStamp(bytes, at + skipped.files.bytes.length, skipped.partFile);
  }
  bytes.set(createHash('sha256').update(bytes.subarray(0, at)).digest(), at);
  return bytes;
}

function writeStamp(bytes: Buffer, at: number, { sizeBytes, mtimeNs }: FileStamp): number {
  return bytes.writeBigInt64BE(BigInt.asIntN(64, mtimeNs), bytes.writeDoubleBE(sizeBytes, at));
}

function readStamp(bytes: Buffer, at: number): FileStamp {
  return { sizeBytes: bytes.readDoubleBE(at), mtimeNs: bytes.readBigInt64BE(at + 8) };
}

/** The record in these bytes, or why it cannot be used. */
export function decodeResume(metainfo: Metainfo, bytes: Buffer): ResumeRecord | string {
  const { geometry, files, infoHash } = metainfo;
  const magic = bytes.subarray(0, MAGIC.length);
  const hasSkipped = magic.equals(MAGIC_SELECTION);
  if (!hasSkipped && !magic.equals(MAGIC)) return 'it is not a resume record of this version';
  if (bytes.length !== recordBytes(metainfo, hasSkipped))
    return 'it does not have the length that this torrent asks for';
  const body = bytes.subarray(0, bytes.length - CHECKSUM_BYTES);
  if (!createHash('sha256').update(body).digest().equals(bytes.subarray(body.length))) return 'its checksum is wrong';
  let at = MAGIC.length;
  if (!body.subarray(at, at + 20).equals(infoHash)) return 'it belongs to another torrent';
  at += 20;
  const isClean = (body.readUInt8(at) & CLEAN) !== 0;
  const hasCounts = body.readUInt32BE(at + 1) === geometry.pieceCount && body.readUInt32BE(at + 5) === files.length;
  if (!hasCounts) return 'it counts pieces or files differently';
  at += 9;
  const bits = body.subarray(at, at + geometry.bitfieldBytes);
  if (!isCanonicalBitfield(bits, geometry.pieceCount)) return 'its bits are not a bitfield';
  at += bits.length;
  const stamps = files.map((_, index) => readStamp(body, at + index * FILE_BYTES));
  at += files.length * FILE_BYTES;
  const record = { isClean, bits: new Bitfield(geometry.pieceCount, bits), files: stamps };
  if (!hasSkipped) return { ...record, skipped: null };
  const skipped = body.subarray(at, at + Math.ceil(files.length / 8));
  if (!isCanonicalBitfield(skipped, files.length)) return 'its skipped files are not a bitfield';
  const partFile = readStamp(body, at + skipped.length);
  return { ...record, skipped: { files: new Bitfield(files.length, skipped), partFile } };
}

function recordBytes({ geometry, files }: Metainfo, hasSkipped: boolean): number {
  const selectionBytes = hasSkipped ? Math.ceil(files.length / 8) + FILE_BYTES : 0;
  return HEADER_BYTES + geometry.bitfieldBytes + files.length * FILE_BYTES + selectionBytes + CHECKSUM_BYTES;
}

/** Null: there is none. */
async function readRecord(metainfo: Metainfo, output: string): Promise<ResumeRecord | string | null> {
  const path = resumePath(metainfo, output);
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return code === 'ENOENT' || code === 'ENOTDIR' ? null : `${path}: it cannot be opened (${code})`;
  }
  try {
    const status = await handle.stat();
    if (!status.isFile() || ![false, true].some((has) => status.size === recordBytes(metainfo, has))) {
      return `${path}: it does not have the length that this torrent asks for`;
    }
    const record = decodeResume(metainfo, await handle.readFile());
    return typeof record === 'string' ? `${path}: ${record}` : record;
  } catch (error) {
    return `${path}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`;
  } finally {
    await handle.close();
  }
}

async function stampPartFile(metainfo: Metainfo, output: string): Promise<FileStamp> {
  return stat(partFilePath(metainfo, output), { bigint: true }).then(stampOf, () => ABSENT);
}

/** Size and mtime of every file now. Pads, links (BEP 47) and skipped files hold no data of ours: always the same. */
async function stampFiles({ files }: Metainfo, output: string, selection: Selection | null): Promise<FileStamp[]> {
  const stamps: FileStamp[] = files.map(() => ABSENT);
  const isStored = (index: number): boolean =>
    !files[index]!.isPad && files[index]!.symlinkPath === null && selection?.isSkipped(index) !== true;
  const stored = [...files.keys()].filter(isStored);
  const pathOf = (index: number): string => join(output, ...files[index]!.path);
  if (stored.length <= STATS_ASYNC) {
    await forEachConcurrently(stored, STATS_AT_ONCE, async (index) => {
      stamps[index] = await stat(pathOf(index), { bigint: true }).then(stampOf, () => ABSENT);
    });
    return stamps;
  }
  for (let at = 0; at < stored.length; at += STATS_IN_A_ROW) {
    for (const index of stored.slice(at, at + STATS_IN_A_ROW)) stamps[index] = stampNow(pathOf(index));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return stamps;
}

function stampNow(path: string): FileStamp {
  try {
    const status = statSync(path, { bigint: true, throwIfNoEntry: false });
    return status === undefined ? ABSENT : stampOf(status);
  } catch {
    return ABSENT;
  }
}

function stampOf(status: BigIntStats): FileStamp {
  return status.isFile() ? { sizeBytes: Number(status.size), mtimeNs: status.mtimeNs } : ABSENT;
}

function isSameFile(now: FileStamp, then: FileStamp | undefined): boolean {
  return then !== undefined && now.sizeBytes === then.sizeBytes && now.mtimeNs === then.mtimeNs;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Which pieces touch which files, without a list for each piece. */
class PieceSpans {
  readonly #metainfo: Metainfo;

  constructor(metainfo: Metainfo) {
    this.#metainfo = metainfo;
  }

  /** The pieces with at least one byte in a file that `isWanted`. */
  touching(isWanted: (file: number) => boolean): Bitfield {
    const { files, geometry } = this.#metainfo;
    const pieces = new Bitfield(geometry.pieceCount);
    files.forEach((entry, file) => {
      if (entry.lengthBytes === 0 || entry.isPad || !isWanted(file)) return;
      const last = Math.floor((entry.beginBytes + entry.lengthBytes - 1) / geometry.pieceLengthBytes);
      for (let piece = Math.floor(entry.beginBytes / geometry.pieceLengthBytes); piece <= last; piece++)
        pieces.set(piece);
    });
    return pieces;
  }
}
