/** A torrent as an argument: parsed already, or the bytes of a .torrent. */
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { parseTorrent } from '../metainfo/torrent.js';

/**
 * @param where the call, as the user wrote it
 * @throws HaulError BAD_ARGUMENT when it is neither; BAD_BENCODE, BAD_TORRENT, LIMIT of bytes
 */
export function asMetainfo(where: string, torrent: unknown): Metainfo {
  if (torrent instanceof Uint8Array) return parseTorrent(torrent);
  if (isMetainfo(torrent)) return torrent;
  const what = 'torrent must be what parseTorrent gives, or the bytes of a .torrent';
  const hint = typeof torrent === 'string' ? '; read the file first' : '';
  throw new HaulError('BAD_ARGUMENT', `${what}${hint}`, { call: where, option: 'torrent' });
}

/** Of any copy of the package: its shape, not its class. */
function isMetainfo(value: unknown): value is Metainfo {
  if (typeof value !== 'object' || value === null) return false;
  const { infoHash, infoHashHex, geometry, pieceHashes, files, trackers } = value as Partial<Metainfo>;
  return (
    infoHash instanceof Uint8Array &&
    typeof infoHashHex === 'string' &&
    typeof geometry?.pieceLength === 'function' &&
    pieceHashes instanceof Uint8Array &&
    Array.isArray(files) &&
    Array.isArray(trackers)
  );
}
