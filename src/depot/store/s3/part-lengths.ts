/**
 * How long the parts of an upload are. Of one whose length is announced all are alike, as some servers ask for; of
 * another they grow, so that 10,000 of them hold 16 TiB. Pure.
 */
import { S3_LIMITS } from './limits.js';

const MIB = 1024 * 1024;

export interface PartRange {
  /** From 1. */
  readonly number: number;
  readonly begin: number;
  readonly lengthBytes: number;
}

/** @param announcedBytes null: not known. @param index from 0 */
export function partLength(announcedBytes: number | null, index: number): number {
  const { partBytes, parts, partsOfLength, partBytesMax } = S3_LIMITS;
  if (announcedBytes === null)
    return Math.min(partBytesMax, partBytes * 2 ** Math.min(30, Math.floor(index / partsOfLength)));
  return Math.max(partBytes, Math.ceil(announcedBytes / parts / MIB) * MIB);
}

/** All parts of a blob that is there. */
export function partsOf(lengthBytes: number): PartRange[] {
  const step = partLength(lengthBytes, 0);
  const count = Math.ceil(lengthBytes / step);
  return Array.from({ length: count }, (_, index) => {
    const begin = index * step;
    return { number: index + 1, begin, lengthBytes: Math.min(step, lengthBytes - begin) };
  });
}

/** What parts of these sizes hold when all are used. */
export function mostBytes(announcedBytes: number | null): number {
  let sum = 0;
  for (let index = 0; index < S3_LIMITS.parts; index++) sum += partLength(announcedBytes, index);
  return sum;
}
