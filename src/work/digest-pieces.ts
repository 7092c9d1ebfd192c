/**
 * The worker's side of `create` and of the hash check: opens files one after the other, reads them through one buffer,
 * and hashes. Where the native library hashes many pieces at once, some are read before they are hashed; long ones part
 * by part, in turns.
 * Invariant: trouble with a file spoils the pieces it has a part in, and no other.
 */
import { createHash } from 'node:crypto';
import { addressOf } from '../native/library.js';
import { DIGEST_FILE_PIECES, digestFile, HashCall, type HashRates, hashRates } from '../native/multihash.js';
import { pageBuffer } from '../native/page-buffer.js';
import type { RawPathRange } from './job.js';
import { RangeReader } from './range-reader.js';

const KIB = 1024;
/** Stays in the second-level cache between reading and hashing. */
const SINGLE_BYTES = 512 * KIB;
/** For each piece that is hashed at the same time as others: 1 MiB in all for four of them, 4 MiB for sixteen. */
const LANE_BYTES = 256 * KIB;
/** The same where one call does all the steps, and a step costs a system call only. */
const CALL_LANE_BYTES = 64 * KIB;
/** A message is cut at multiples of it. */
const BLOCK_BYTES = 64;
/** Short pieces: no call of the library for less. */
const CALL_BYTES = 512 * KIB;

let scratch = Buffer.alloc(0);
let call: HashCall | null = null;

/** At least so long; kept for the next job. */
function scratchOf(lengthBytes: number): Buffer {
  if (scratch.length < lengthBytes) scratch = pageBuffer(lengthBytes);
  return scratch;
}

/** 20 bytes for each piece. */
export function digestPieces(files: readonly RawPathRange[], pieceLengthBytes: number): Buffer {
  const totalBytes = files.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const pieceCount = Math.ceil(totalBytes / pieceLengthBytes);
  const pieces: Piece[] = Array.from({ length: pieceCount }, (_, index) => {
    const beginBytes = index * pieceLengthBytes;
    return { beginBytes, lengthBytes: Math.min(pieceLengthBytes, totalBytes - beginBytes) };
  });
  const reader = new RangeReader(files);
  try {
    const rates = pieceCount > 1 ? hashRates('sha1') : null;
    const isWorthIt = rates !== null && pieceCount >= rates.atLeast;
    const digests = isWorthIt ? digestInGroups(reader, pieces, rates) : pieces.map((piece) => digestOne(reader, piece));
    return Buffer.concat(digests);
  } finally {
    reader.close();
  }
}

interface Piece {
  readonly beginBytes: number;
  readonly lengthBytes: number;
}

function digestOne(reader: RangeReader, { beginBytes, lengthBytes }: Piece): Buffer {
  const hash = createHash('sha1');
  const buffer = scratchOf(Math.min(SINGLE_BYTES, lengthBytes));
  for (let at = 0; at < lengthBytes; at += SINGLE_BYTES) {
    const part = buffer.subarray(0, Math.min(SINGLE_BYTES, lengthBytes - at));
    const trouble = reader.read(part, beginBytes + at);
    if (trouble !== null) return trouble;
    hash.update(part);
  }
  return hash.digest();
}

function digestInGroups(reader: RangeReader, pieces: readonly Piece[], { company }: HashRates): Buffer[] {
  const most = Math.max(company, Math.floor(CALL_BYTES / pieces[0]!.lengthBytes));
  // Equal groups: a last one of few pieces would be hashed slower.
  const size = Math.ceil(pieces.length / Math.ceil(pieces.length / most));
  const digests: Buffer[] = [];
  for (let first = 0; first < pieces.length; first += size) {
    for (const digest of digestGroup(reader, pieces.slice(first, first + size))) digests.push(digest);
  }
  return digests;
}

/** Only the last one may be shorter than the others. */
function digestGroup(reader: RangeReader, pieces: readonly Piece[]): Buffer[] {
  const whole = digestInOneCall(reader, pieces);
  return whole === null ? digestStepByStep(reader, pieces) : [whole];
}

/** All their digests; null: they do not lie in one file, or there is trouble with it. */
function digestInOneCall(reader: RangeReader, pieces: readonly Piece[]): Buffer | null {
  if (pieces.length > DIGEST_FILE_PIECES) return null;
  const first = pieces[0]!;
  const last = pieces.at(-1)!;
  const lengthBytes = last.beginBytes + last.lengthBytes - first.beginBytes;
  const place = reader.placeOf(first.beginBytes, lengthBytes);
  if (place === null) return null;
  const laneBytes = Math.ceil(Math.min(CALL_LANE_BYTES, first.lengthBytes) / BLOCK_BYTES) * BLOCK_BYTES;
  const buffer = scratchOf(laneBytes * pieces.length).subarray(0, laneBytes * pieces.length);
  const { lengthBytes: pieceLengthBytes } = first;
  return digestFile('sha1', place, { count: pieces.length, pieceLengthBytes, lengthBytes }, buffer);
}

function digestStepByStep(reader: RangeReader, pieces: readonly Piece[]): Buffer[] {
  call ??= new HashCall('sha1');
  const longest = pieces[0]!.lengthBytes;
  const stepBytes = Math.min(LANE_BYTES, longest);
  const buffer = scratchOf(stepBytes * pieces.length);
  const address = addressOf(buffer);
  const troubles: (Buffer | null)[] = pieces.map(() => null);
  for (let at = 0; at < longest; at += stepBytes) {
    call.clear();
    for (const [index, { beginBytes, lengthBytes }] of pieces.entries()) {
      if (at >= lengthBytes) continue;
      const part = Math.min(stepBytes, lengthBytes - at);
      const begin = index * stepBytes;
      troubles[index] ??= reader.read(buffer.subarray(begin, begin + part), beginBytes + at);
      const isSpoilt = troubles[index] !== null;
      call.message(at === 0, !isSpoilt && at + part === lengthBytes);
      if (!isSpoilt) call.range(address + begin, part);
    }
    call.run();
  }
  return troubles.map((trouble, index) => trouble ?? call!.digest(index));
}
