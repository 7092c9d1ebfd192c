/** A .torrent of bytes in memory, as a depot makes them. */
import { createHash } from 'node:crypto';

const PIECE_BYTES = 256 * 1024;

function text(value: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(value)}:${value}`);
}

export function createTorrentBytes(name: string, bytes: Uint8Array, announce = 'http://127.0.0.1:9/announce') {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES)
    pieces.push(
      createHash('sha1')
        .update(bytes.subarray(at, at + PIECE_BYTES))
        .digest(),
    );
  const hashes = Buffer.concat(pieces);
  const info = Buffer.concat([
    Buffer.from(`d6:lengthi${bytes.length}e4:name`),
    text(name),
    Buffer.from(`12:piece lengthi${PIECE_BYTES}e6:pieces${hashes.length}:`),
    hashes,
    Buffer.from('7:privatei1ee'),
  ]);
  const torrent = Buffer.concat([Buffer.from('d8:announce'), text(announce), text('info'), info, Buffer.from('e')]);
  return { bytes: torrent, infoHash: createHash('sha1').update(info).digest('hex') };
}
