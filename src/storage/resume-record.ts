/**
 * The bytes of a resume record.
 *
 *   "haul-resume 4\n" | info-hash 20 | flags 1 | pieces u32 | files u32 | bits
 *   | (device u64, inode u64, birthNs i64, size f64, mtimeNs i64) per file
 *   | with flag 2: a bit for each skipped file, then the same of the part file
 *   | with flag 4: unfinished pieces u32, then (piece u32, a bit for each block of a piece of full length) per piece
 *   | SHA-256 of all that
 *
 *   flags   1: clean end   2: files are skipped   4: some pieces are unfinished
 *
 * Numbers are big-endian. The length follows from the torrent, the flags and that one count. Behind it there may be
 * zeros, which keep room for the next record; a record of any other length is damaged.
 */
import { createHash } from 'node:crypto';
import { Bitfield, isCanonicalBitfield } from '../metainfo/bitfield.js';
import { type Geometry, NONE } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { UnfinishedPiece } from '../metainfo/unfinished.js';
import type { FileStamp } from '../work/file-stamp.js';
import { DEFAULT_BUDGETS, openPieceLimit } from './budgets.js';

const VERSIONS = 'haul-resume ';
const MAGIC = Buffer.from(`${VERSIONS}4\n`, 'latin1');
const HEADER_BYTES = MAGIC.length + 20 + 1 + 4 + 4;
const STAMP_BYTES = 40;
const CHECKSUM_BYTES = 32;
const FLAGS_AT = MAGIC.length + 20;
const CLEAN = 1;
const SKIPS = 2;
const UNFINISHED = 4;

export interface ResumeRecord {
  readonly isClean: boolean;
  readonly bits: Bitfield;
  readonly files: readonly FileStamp[];
  /** Null: no file was skipped. */
  readonly skipped: { readonly files: Bitfield; readonly partFile: FileStamp } | null;
  /** Of a clean end; no more than `unfinishedLimit`. */
  readonly unfinished: readonly UnfinishedPiece[];
}

/** No more can be open at a stop. */
export function unfinishedLimit(geometry: Geometry): number {
  return Math.min(geometry.pieceCount, openPieceLimit(geometry, DEFAULT_BUDGETS));
}

/** No record of this torrent is longer. */
export function longestRecordBytes(metainfo: Metainfo): number {
  return recordBytes(metainfo, true, unfinishedLimit(metainfo.geometry));
}

export function encodeResume(metainfo: Metainfo, record: ResumeRecord): Buffer {
  const { skipped, unfinished } = record;
  const bytes = Buffer.alloc(recordBytes(metainfo, skipped !== null, unfinished.length));
  let at = MAGIC.copy(bytes);
  at += metainfo.infoHash.copy(bytes, at);
  const kept = unfinished.length === 0 ? 0 : UNFINISHED;
  at = bytes.writeUInt8((record.isClean ? CLEAN : 0) | (skipped === null ? 0 : SKIPS) | kept, at);
  at = bytes.writeUInt32BE(record.bits.bitCount, at);
  at = bytes.writeUInt32BE(record.files.length, at);
  bytes.set(record.bits.bytes, at);
  at += record.bits.bytes.length;
  for (const stamp of record.files) at = writeStamp(bytes, at, stamp);
  if (skipped !== null) {
    bytes.set(skipped.files.bytes, at);
    at = writeStamp(bytes, at + skipped.files.bytes.length, skipped.partFile);
  }
  if (kept !== 0) at = writeUnfinished(metainfo.geometry, bytes, at, unfinished);
  bytes.set(createHash('sha256').update(bytes.subarray(0, at)).digest(), at);
  return bytes;
}

/** The record in these bytes, or why it cannot be used. */
export function decodeResume(metainfo: Metainfo, padded: Buffer): ResumeRecord | string {
  const { geometry, files, infoHash } = metainfo;
  const bytes = withoutPadding(metainfo, padded);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return whyOther(bytes);
  if (bytes.length < HEADER_BYTES + CHECKSUM_BYTES) return 'it is cut off';
  const body = bytes.subarray(0, bytes.length - CHECKSUM_BYTES);
  let at = FLAGS_AT;
  const { flags, hasSkipped, unfinishedCount } = shapeOf(metainfo, bytes);
  if (bytes.length !== recordBytes(metainfo, hasSkipped, unfinishedCount))
    return 'it does not have the length that this torrent asks for';
  if (!createHash('sha256').update(body).digest().equals(bytes.subarray(body.length))) return 'its checksum is wrong';
  if (!body.subarray(at - 20, at).equals(infoHash)) return 'it belongs to another torrent';
  const hasCounts = body.readUInt32BE(at + 1) === geometry.pieceCount && body.readUInt32BE(at + 5) === files.length;
  if (!hasCounts) return 'it counts pieces or files differently';
  at += 9;
  const bits = body.subarray(at, at + geometry.bitfieldBytes);
  if (!isCanonicalBitfield(bits, geometry.pieceCount)) return 'its bits are not a bitfield';
  at += bits.length;
  const stamps = files.map((_, index) => readStamp(body, at + index * STAMP_BYTES));
  at += files.length * STAMP_BYTES;
  const isClean = (flags & CLEAN) !== 0;
  const unfinished = readUnfinished(geometry, body.subarray(body.length - unfinishedBytes(geometry, unfinishedCount)));
  if (unfinished === null) return 'its unfinished pieces do not exist';
  const record = { isClean, bits: new Bitfield(geometry.pieceCount, bits), files: stamps, unfinished };
  if (!hasSkipped) return { ...record, skipped: null };
  const skipped = body.subarray(at, at + Math.ceil(files.length / 8));
  if (!isCanonicalBitfield(skipped, files.length)) return 'its skipped files are not a bitfield';
  const partFile = readStamp(body, at + skipped.length);
  return { ...record, skipped: { files: new Bitfield(files.length, skipped), partFile } };
}

/** What decides about the length. */
function shapeOf(metainfo: Metainfo, bytes: Buffer): { flags: number; hasSkipped: boolean; unfinishedCount: number } {
  const flags = bytes.readUInt8(FLAGS_AT);
  const hasSkipped = (flags & SKIPS) !== 0;
  return {
    flags,
    hasSkipped,
    unfinishedCount: (flags & UNFINISHED) === 0 ? 0 : countUnfinished(metainfo, hasSkipped, bytes),
  };
}

function withoutPadding(metainfo: Metainfo, bytes: Buffer): Buffer {
  if (bytes.length < HEADER_BYTES + CHECKSUM_BYTES) return bytes;
  const { hasSkipped, unfinishedCount } = shapeOf(metainfo, bytes);
  const lengthBytes = recordBytes(metainfo, hasSkipped, unfinishedCount);
  const isPadded =
    lengthBytes > 0 && bytes.length > lengthBytes && bytes.subarray(lengthBytes).every((byte) => byte === 0);
  return isPadded ? bytes.subarray(0, lengthBytes) : bytes;
}

function whyOther(bytes: Buffer): string {
  const isOfOurs = bytes.subarray(0, VERSIONS.length).toString('latin1') === VERSIONS;
  return isOfOurs ? 'it was written by another version of this program' : 'it is not a resume record';
}

function writeStamp(bytes: Buffer, at: number, { device, inode, birthNs, sizeBytes, mtimeNs }: FileStamp): number {
  let end = bytes.writeBigUInt64BE(BigInt.asUintN(64, device), at);
  end = bytes.writeBigUInt64BE(BigInt.asUintN(64, inode), end);
  end = bytes.writeBigInt64BE(BigInt.asIntN(64, birthNs), end);
  return bytes.writeBigInt64BE(BigInt.asIntN(64, mtimeNs), bytes.writeDoubleBE(sizeBytes, end));
}

function readStamp(bytes: Buffer, at: number): FileStamp {
  return {
    device: bytes.readBigUInt64BE(at),
    inode: bytes.readBigUInt64BE(at + 8),
    birthNs: bytes.readBigInt64BE(at + 16),
    sizeBytes: bytes.readDoubleBE(at + 24),
    mtimeNs: bytes.readBigInt64BE(at + 32),
  };
}

function writeUnfinished(geometry: Geometry, bytes: Buffer, at: number, pieces: readonly UnfinishedPiece[]): number {
  let end = bytes.writeUInt32BE(pieces.length, at);
  for (const { piece, blocks } of pieces) {
    bytes.writeUInt32BE(piece, end);
    bytes.set(blocks.bytes, end + 4);
    end += entryBytes(geometry);
  }
  return end;
}

/** -1: none or more than there can be. Only a count that fits the length of the record is used. */
function countUnfinished(metainfo: Metainfo, hasSkipped: boolean, body: Buffer): number {
  const at = recordBytes(metainfo, hasSkipped, 0) - CHECKSUM_BYTES;
  const count = at + 4 <= body.length ? body.readUInt32BE(at) : 0;
  return count > 0 && count <= unfinishedLimit(metainfo.geometry) ? count : -1;
}

/** Null: they are not of this torrent. */
function readUnfinished(geometry: Geometry, bytes: Buffer): UnfinishedPiece[] | null {
  const pieces: UnfinishedPiece[] = [];
  for (let at = 4; at < bytes.length; at += entryBytes(geometry)) {
    const piece = geometry.asPiece(bytes.readUInt32BE(at));
    if (piece === NONE) return null;
    const blockCount = geometry.blockCount(piece);
    const bits = bytes.subarray(at + 4, at + 4 + Math.ceil(blockCount / 8));
    if (!isCanonicalBitfield(bits, blockCount)) return null;
    pieces.push({ piece, blocks: new Bitfield(blockCount, bits) });
  }
  return pieces;
}

function entryBytes({ blocksPerPiece }: Geometry): number {
  return 4 + Math.ceil(blocksPerPiece / 8);
}

function unfinishedBytes(geometry: Geometry, count: number): number {
  return count === 0 ? 0 : 4 + count * entryBytes(geometry);
}

function recordBytes({ geometry, files }: Metainfo, hasSkipped: boolean, unfinishedCount: number): number {
  if (unfinishedCount < 0) return -1;
  const selectionBytes = hasSkipped ? Math.ceil(files.length / 8) + STAMP_BYTES : 0;
  const fixedBytes = HEADER_BYTES + geometry.bitfieldBytes + files.length * STAMP_BYTES + CHECKSUM_BYTES;
  return fixedBytes + selectionBytes + unfinishedBytes(geometry, unfinishedCount);
}
