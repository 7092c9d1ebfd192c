/**
 * Torrents without data: every byte is zero, so one digest serves all pieces, the file is a hole, and whatever is
 * served can still be checked.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** A .torrent of one file of `pieceCount` whole pieces of zeros. */
export function zerosTorrent(name: string, pieceCount: number, pieceLengthBytes: number): Buffer {
  const digest = createHash('sha1').update(Buffer.alloc(pieceLengthBytes)).digest();
  const pieces = Buffer.alloc(20 * pieceCount);
  for (let piece = 0; piece < pieceCount; piece++) digest.copy(pieces, piece * 20);
  const length = pieceCount * pieceLengthBytes;
  const nameBytes = Buffer.byteLength(name);
  const head =
    `d4:infod6:lengthi${length}e4:name${nameBytes}:${name}` +
    `12:piece lengthi${pieceLengthBytes}e6:pieces${pieces.length}:`;
  return Buffer.concat([Buffer.from(head), pieces, Buffer.from('ee')]);
}

/** A file of that length which takes no space. */
export async function makeHole(file: string, lengthBytes: number): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.truncate(lengthBytes);
  } finally {
    await handle.close();
  }
}
