/** The numbers that the catalogue keeps beside its rows, as text. */
import { HaulError } from '../../errors.js';
import type { CatalogueCounts } from './port.js';

export interface BlobCount {
  /** Rows that name it; at least 1. */
  readonly names: number;
  readonly lengthBytes: number;
}

function numbers(value: string, count: number): number[] | null {
  const parts = value.split(' ').map(Number);
  return parts.length === count && parts.every((part) => Number.isSafeInteger(part) && part >= 0) ? parts : null;
}

export function encodeBlob({ names, lengthBytes }: BlobCount): string {
  return `${names} ${lengthBytes}`;
}

/** @throws HaulError BAD_DATA */
export function decodeBlob(sha256: string, value: string): BlobCount {
  const parts = numbers(value, 2);
  if (parts === null || parts[0] === 0) {
    const message = `what the catalogue knows of the blob ${sha256} is damaged; see: haul depot rebuild`;
    throw new HaulError('BAD_DATA', message, { sha256 });
  }
  return { names: parts[0]!, lengthBytes: parts[1]! };
}

export function encodeCounts({ names, blobs, blobBytes }: CatalogueCounts): string {
  return `${names} ${blobs} ${blobBytes}`;
}

/** @throws HaulError BAD_DATA */
export function decodeCounts(value: string | undefined): CatalogueCounts {
  const parts = value === undefined ? null : numbers(value, 3);
  if (parts === null) {
    throw new HaulError('BAD_DATA', "the catalogue's counts are damaged; make it anew with: haul depot rebuild");
  }
  return { names: parts[0]!, blobs: parts[1]!, blobBytes: parts[2]! };
}
