/** The torrent of a blob: the same bytes under the same file name give the same info-hash, on every machine. */
import { encodeBencode } from '../metainfo/bencode.js';
import { infoHashOf } from '../metainfo/info-hash.js';
import { encodeTorrent } from '../metainfo/torrent-write.js';

export interface BlobPieces {
  readonly lengthBytes: number;
  readonly pieces: Uint8Array;
  readonly pieceLengthBytes: number;
}

/** The info dictionary (BEP 3, 27): nothing in it but what the bytes and the name are. */
export function blobInfo(fileName: string, { lengthBytes, pieces, pieceLengthBytes }: BlobPieces): Buffer {
  return encodeBencode({ length: lengthBytes, name: fileName, 'piece length': pieceLengthBytes, pieces, private: 1 });
}

/** 40 hexadecimal digits. */
export function blobInfoHash(fileName: string, blob: BlobPieces): string {
  return infoHashOf(blobInfo(fileName, blob)).toString('hex');
}

/** The .torrent, with tracker and web seed outside of what is hashed. */
export function blobTorrent(
  fileName: string,
  blob: BlobPieces,
  announceUrl: string | null,
  webSeed: string | null,
): Buffer {
  return encodeTorrent({
    infoBytes: blobInfo(fileName, blob),
    trackers: announceUrl === null ? [] : [[announceUrl]],
    webSeeds: webSeed === null ? [] : [webSeed],
    createdBy: 'swarmhaul',
  });
}
