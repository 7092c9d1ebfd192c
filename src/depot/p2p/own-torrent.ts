/**
 * A .torrent that a publisher sends: it has to be the one that the depot would make of the bytes itself. Pure.
 *
 * What is sent is hostile, and a general reader of bencoding takes a second for ten megabytes of nested nothing. But of
 * a torrent of ours only two things are not known beforehand, the length and the hashes of the pieces, and all that is
 * between them is. So these two are taken from their places in one pass, and the torrent is made anew of them: nothing
 * else that was sent goes any further, and the info-hash is that of the torrent that the depot will have.
 *
 *   …4:infod6:lengthi LENGTH e4:name N:NAME 12:piece lengthi PIECE LENGTH e6:pieces N: HASHES 7:privatei1ee…
 */
import { choosePieceLength } from '../../content/create.js';
import { HaulError } from '../../errors.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import { parseTorrent } from '../../metainfo/torrent.js';
import { blobTorrent } from '../blob-info.js';

const HASH_BYTES = 20;
const HEAD = Buffer.from('4:infod6:lengthi');
const TAIL = Buffer.from('7:privatei1ee');
/** Digits of 2^53. */
const NUMBER = /^(?:0|[1-9]\d{0,15})$/;

/** @throws HaulError MISMATCH: it is another torrent; the message says what of it is */
export function ownTorrent(bytes: Buffer, fileName: string): Metainfo {
  const begin = bytes.indexOf(HEAD);
  if (begin < 0) throw other('it is not that of a single file, without anything else in its info dictionary');
  const reader = new Reader(bytes, begin + HEAD.length);
  const lengthBytes = reader.number('e');
  if (lengthBytes === null || lengthBytes === 0) throw other('its length cannot be read, or is 0');
  const name = Buffer.from(fileName);
  if (!reader.takes(`e4:name${name.length}:`) || !reader.takesBytes(name))
    throw other('it does not have the last part of the artifact’s name');
  const wanted = choosePieceLength(lengthBytes);
  if (!reader.takes('12:piece lengthi') || reader.number('e') !== wanted)
    throw other(`its pieces are not of ${wanted} bytes, as those of ${lengthBytes} bytes are`);
  const pieceBytes = Math.ceil(lengthBytes / wanted) * HASH_BYTES;
  const pieces = reader.takes(`e6:pieces${pieceBytes}:`) ? reader.bytes(pieceBytes) : null;
  if (pieces === null || !reader.takesBytes(TAIL))
    throw other('it does not have a hash for each piece, or is not private, or there is more in its info dictionary');
  const blob = { lengthBytes, pieceLengthBytes: wanted, pieces: Uint8Array.from(pieces) };
  return parseTorrent(blobTorrent(fileName, blob, null, null));
}

function other(why: string): HaulError {
  return new HaulError('MISMATCH', `this is not the torrent that the depot makes of an artifact: ${why}`);
}

class Reader {
  readonly #from: Buffer;
  #at: number;

  constructor(from: Buffer, at: number) {
    this.#from = from;
    this.#at = at;
  }

  takes(text: string): boolean {
    return this.takesBytes(Buffer.from(text));
  }

  takesBytes(wanted: Uint8Array): boolean {
    return this.bytes(wanted.length)?.equals(wanted) === true;
  }

  /** Null: it ends before. */
  bytes(length: number): Buffer | null {
    if (this.#at + length > this.#from.length) return null;
    this.#at += length;
    return this.#from.subarray(this.#at - length, this.#at);
  }

  /** Digits as bencoding has them, up to this character, which is left there. Null: there are none, or too many. */
  number(end: string): number | null {
    const text = this.#from.toString('latin1', this.#at, this.#at + 17).split(end, 1)[0]!;
    if (!NUMBER.test(text) || !Number.isSafeInteger(Number(text))) return null;
    this.#at += text.length;
    return Number(text);
  }
}
