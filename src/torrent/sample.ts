/** Which recorded pieces are hashed at the start, to see whether the record still tells the truth. */
import { DEFAULTS } from '../config.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { Geometry, PieceIndex } from '../metainfo/geometry.js';

/**
 * A random sample: at least `DEFAULTS.samplePieces`, `DEFAULTS.sampleShare` of all and as many as make
 * `DEFAULTS.sampleBytes`, so that what is small is hashed whole.
 * @param random in [0, 1)
 */
export function drawSample(pieces: Bitfield, geometry: Geometry, random: () => number): Bitfield {
  const sample = new Bitfield(pieces.bitCount);
  const order: PieceIndex[] = [];
  for (let piece = 0; piece < pieces.bitCount; piece++) if (pieces.has(piece)) order.push(piece as PieceIndex);
  const leastCount = Math.max(DEFAULTS.samplePieces, Math.ceil(order.length * DEFAULTS.sampleShare));
  let sampleBytes = 0;
  // The first steps of a shuffle (Fisher and Yates).
  for (let at = 0; at < order.length; at++) {
    if (sample.count >= leastCount && sampleBytes >= DEFAULTS.sampleBytes) break;
    const other = at + Math.floor(random() * (order.length - at));
    const piece = order[other]!;
    order[other] = order[at]!;
    sample.set(piece);
    sampleBytes += geometry.pieceLength(piece);
  }
  return sample;
}
