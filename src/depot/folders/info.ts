/** The info dictionary of a folder's torrent, and the .torrent around it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LIMITS } from '../../config.js';
import { HaulError } from '../../errors.js';
import { encodeBencode } from '../../metainfo/bencode.js';
import { encodeTorrent } from '../../metainfo/torrent-write.js';
import type { FolderLayout } from './layout.js';

/** About 2 ms of encoding. */
const FILES_PER_STEP = 200;
/** Announce URL, web seed and the rest around the info dictionary. */
const OUTER_BYTES = 16 * 1024;

/**
 * In steps: others have their turn between them.
 * @throws HaulError LIMIT: readers take no .torrent of that size
 */
export async function folderInfo({ name, geometry, entries }: FolderLayout, pieces: Uint8Array): Promise<Buffer> {
  const parts: Uint8Array[] = [Buffer.from('d5:filesl')];
  for (let at = 0; at < entries.length; at += FILES_PER_STEP) {
    if (at > 0) await nextTurn();
    const step = entries.slice(at, at + FILES_PER_STEP).map(({ path, lengthBytes, sha256 }) => ({
      attr: sha256 === null ? 'p' : undefined,
      length: lengthBytes,
      path: path.split('/'),
    }));
    parts.push(encodeBencode(step).subarray(1, -1));
  }
  const rest = encodeBencode({ name, 'piece length': geometry.pieceLengthBytes, pieces, private: 1 });
  const info = Buffer.concat([...parts, Buffer.from('e'), rest.subarray(1)]);
  if (info.length <= LIMITS.torrentFileBytes - OUTER_BYTES) return info;
  const text = `the .torrent of the folder would be longer than ${LIMITS.torrentFileBytes} bytes: take a smaller one`;
  throw new HaulError('LIMIT', text);
}

/** Tracker and web seed lie outside of what is hashed. */
export function folderTorrent(infoBytes: Uint8Array, announceUrl: string | null, webSeed: string | null): Buffer {
  return encodeTorrent({
    infoBytes,
    trackers: announceUrl === null ? [] : [[announceUrl]],
    webSeeds: webSeed === null ? [] : [webSeed],
    createdBy: 'swarmhaul',
  });
}
