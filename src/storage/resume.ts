/**
 * The record of verified pieces, kept beside the data and replaced atomically; `resume-record.ts` has its bytes.
 * Invariant: nothing in a record is believed unless all of it is whole, the files are the same ones and look as they
 * did then, and the piece still has its bytes in the same places.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import { FileLayout, partFileName } from '../metainfo/layout.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { piecesTouching } from '../metainfo/piece-spans.js';
import { Selection } from '../metainfo/selection.js';
import { stateName } from '../metainfo/state-names.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import { fileSystemOf } from '../native/file-systems.js';
import { ABSENT, type FileStamp, isSameInode, isUnchanged, isUsable, spoiled } from '../work/file-stamp.js';
import { isOutOfRoom, whenRoom } from './patience.js';
import { replaceRecord } from './record-file.js';
import { decodeResume, encodeResume, longestRecordBytes, type ResumeRecord, unfinishedLimit } from './resume-record.js';
import { stampFiles } from './stamp-files.js';

export interface ResumeVerdict {
  /** Pieces that need no check. */
  readonly trusted: Bitfield;
  /** Pieces that must be hashed before they count. */
  readonly recheck: Bitfield;
  /** Blocks of other pieces that were stored at a clean end, in files that look the same: nothing proves them. */
  readonly unfinished: readonly UnfinishedPiece[];
  /** By file: the very file that the record knows, so that it is ours, whatever is in it now. */
  readonly ours: Bitfield;
  /**
   * Skipped files that are still the ones the record knows: the next record names them too, or they would be somebody
   * else's as soon as they are wanted again.
   */
  readonly leftOut: ReadonlyMap<number, FileStamp>;
  /** Why there is a record that could not be used, or null. */
  readonly problem: string | null;
  /** The files as they were looked at, before anything was hashed; the part file last. */
  readonly stamps: readonly FileStamp[];
}

/** What a record claims. */
export interface Claim {
  /** Pieces whose bytes are on the device. */
  readonly synced: Bitfield;
  readonly isClean: boolean;
  /** Blocks in the files, of pieces that are not verified: kept at a clean end only. Default: none. */
  readonly unfinished?: readonly UnfinishedPiece[];
  /** Of the files in use, the part file last. */
  readonly stamps: readonly FileStamp[];
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
 * Writes the record: overwrites the spare beside it, fsync, names exchanged, fsync of the folder. Pieces that lie in a
 * file without a stamp are not in it. Room for the next record is kept, but not after a clean end.
 * @param selection where the pieces lie; null: no file is skipped
 * @param leftOut of the verdict that the download began with: whose these files are is recorded, nothing of what is in
 *   them
 * @throws HaulError
 */
export async function saveResume(
  metainfo: Metainfo,
  output: string,
  claim: Claim,
  selection: Selection | null = null,
  leftOut: ReadonlyMap<number, FileStamp> = new Map(),
): Promise<void> {
  const path = resumePath(metainfo, output);
  const { isClean, stamps } = claim;
  const fileCount = metainfo.files.length;
  const partFile = stamps[fileCount] ?? ABSENT;
  const skipped = selection === null || selection.isWhole ? null : { files: selection.skippedFiles, partFile };
  const bits = withStamps(metainfo, claim, selection);
  const all = isClean ? (claim.unfinished ?? []).filter(({ piece }) => !claim.synced.has(piece)) : [];
  const unfinished = all.slice(0, unfinishedLimit(metainfo.geometry));
  const files = stamps.slice(0, fileCount);
  for (const [file, stamp] of leftOut) files[file] = spoiled(stamp);
  const bytes = encodeResume(metainfo, { isClean, bits, files, skipped, unfinished });
  try {
    await replaceRecord(path, bytes, isClean ? 0 : longestRecordBytes(metainfo));
  } catch (error) {
    throw fromSystemError(error, 'write the resume record', path);
  }
}

/** Without the pieces whose files are gone, replaced, cut or otherwise not whole. */
function withStamps(metainfo: Metainfo, { synced, stamps }: Claim, selection: Selection | null): Bitfield {
  const bits = new Bitfield(synced.bitCount, synced.bytes);
  const isLost = (file: number): boolean => selection?.isSkipped(file) !== true && !isUsable(stamps[file]!);
  const lost = piecesTouching(metainfo, isLost);
  const inPartFile = !isUsable(stamps[metainfo.files.length]!) ? selection?.borders() : undefined;
  for (let piece = 0; piece < bits.bitCount; piece++)
    if (lost.has(piece) || inPartFile?.has(piece) === true) bits.clear(piece);
  return bits;
}

/**
 * What of the data on disk counts. Never throws for what it finds there, only where no file can be opened at all. A
 * recorded piece is trusted while all its files have the recorded size and mtime; other recorded pieces are to be
 * checked. After an unclean end, or without a usable record, all others with data on disk are to be checked too: a
 * verified piece must not be downloaded again.
 * Only pieces that `selection` wants count; recorded ones whose bytes lay elsewhere under the selection of then are to
 * be checked.
 */
export async function loadResume(
  metainfo: Metainfo,
  output: string,
  selection: Selection | null = null,
): Promise<ResumeVerdict> {
  const stamps = await stampFiles(metainfo, output, selection);
  const read = await readRecord(metainfo, output);
  const record = typeof read === 'string' ? null : await believed(read, output);
  const trusted = new Bitfield(metainfo.geometry.pieceCount);
  const recheck = new Bitfield(metainfo.geometry.pieceCount);
  const isSame = metainfo.files.map(({ lengthBytes }, file) => {
    const now = stamps[file]!;
    return now.sizeBytes === lengthBytes && isUnchanged(now, record?.files[file]);
  });
  const changed = piecesTouching(metainfo, (file) => selection?.isSkipped(file) !== true && !isSame[file]);
  for (const piece of movedPieces(metainfo, stamps.at(-1)!, record, selection)) changed.set(piece);
  const present = piecesTouching(metainfo, (file) => stamps[file]!.sizeBytes > 0);
  for (let piece = 0; piece < trusted.bitCount; piece++) {
    if (selection?.isWanted(piece) === false) continue;
    const isRecorded = record?.bits.has(piece) === true;
    if (isRecorded && !changed.has(piece)) trusted.set(piece);
    else if (isRecorded || ((record === null || !record.isClean || changed.has(piece)) && present.has(piece))) {
      recheck.set(piece);
    }
  }
  const ours = new Bitfield(metainfo.files.length);
  record?.files.forEach((then, file) => {
    if (isSameFile(stamps[file]!, then)) ours.set(file);
  });
  const isUsed = ({ piece }: UnfinishedPiece): boolean =>
    selection?.isWanted(piece) !== false && !changed.has(piece) && !trusted.has(piece) && !recheck.has(piece);
  const unfinished = record?.isClean === true ? record.unfinished.filter(isUsed) : [];
  const leftOut = await leftOutOf(metainfo, output, record, selection);
  return { trusted, recheck, unfinished, ours, leftOut, stamps, problem: typeof read === 'string' ? read : null };
}

async function leftOutOf(
  metainfo: Metainfo,
  output: string,
  record: ResumeRecord | null,
  selection: Selection | null,
): Promise<ReadonlyMap<number, FileStamp>> {
  if (record === null || selection === null || selection.isWhole) return new Map();
  const known = [...record.files.keys()].filter(
    (file) => selection.isSkipped(file) && record.files[file]!.sizeBytes >= 0,
  );
  const now = await stampFiles(metainfo, output, null, known);
  const same = known.filter((file) => isSameFile(now[file]!, record.files[file]!));
  return new Map(same.map((file) => [file, now[file]!]));
}

/** Where numbers say nothing the length must do: every file of ours has its full length from the first record on. */
function isSameFile(now: FileStamp, then: FileStamp): boolean {
  return isSameInode(now, then) && (then.inode !== 0n || now.sizeBytes === then.sizeBytes);
}

/**
 * An inode number 0 equals any: it is what we write where a file system makes numbers up, and means nothing anywhere
 * else.
 */
async function believed(record: ResumeRecord | null, output: string): Promise<ResumeRecord | null> {
  const hasWildcard =
    record !== null && [...record.files, record.skipped?.partFile].some((stamp) => stamp?.inode === 0n);
  if (!hasWildcard || (await makesUpInodes(output))) return record;
  const checked = (stamp: FileStamp): FileStamp => (stamp.inode === 0n ? ABSENT : stamp);
  const { skipped } = record;
  const files = record.files.map(checked);
  return { ...record, files, skipped: skipped === null ? null : { ...skipped, partFile: checked(skipped.partFile) } };
}

async function makesUpInodes(output: string): Promise<boolean> {
  const volume = await statfs(output).catch(() => null);
  return volume !== null && fileSystemOf(volume.type).makesUpInodes === true;
}

/**
 * Pieces with bytes in the part file, then or now, whose places are not the same any more, or whose part file is not:
 * the selection is another one, or somebody touched it.
 */
function movedPieces(
  metainfo: Metainfo,
  partFileNow: FileStamp,
  record: ResumeRecord | null,
  selection: Selection | null,
): readonly number[] {
  if (record === null || (record.skipped === null && selection === null)) return [];
  const { geometry } = metainfo;
  const then = record.skipped === null ? null : Selection.without(metainfo, record.skipped.files);
  const isPartFileSame = isUnchanged(partFileNow, record.skipped?.partFile);
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

/** Null: there is none. */
async function readRecord(metainfo: Metainfo, output: string): Promise<ResumeRecord | string | null> {
  const path = resumePath(metainfo, output);
  let handle: FileHandle;
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    handle = await whenRoom(() => open(path, flags));
  } catch (error) {
    // Not the record's fault: it would cost a check of all that is here.
    if (isOutOfRoom(error)) throw fromSystemError(error, 'open', path);
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return code === 'ENOENT' || code === 'ENOTDIR' ? null : `${path}: it cannot be opened (${code})`;
  }
  try {
    const status = await handle.stat();
    if (!status.isFile() || status.size > longestRecordBytes(metainfo)) {
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
