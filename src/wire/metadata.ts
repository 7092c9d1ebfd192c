/**
 * The messages of `ut_metadata` (BEP 9): a bencoded dictionary, and behind that of type 1 the bytes of one piece of the
 * info dictionary. Its pieces have 16 KiB, whatever those of the torrent have. Pure.
 *
 *   request  d8:msg_typei0e5:piecei2ee
 *   data     d8:msg_typei1e5:piecei2e10:total_sizei34256ee <bytes>
 *   reject   d8:msg_typei2e5:piecei2ee
 */
import { HaulError } from '../errors.js';
import { type BencodeDictionary, decodeScanned, encodeBencode, scan } from '../metainfo/bencode.js';
import { WireError } from './error.js';

/** The name of the extension (BEP 10). */
export const UT_METADATA = 'ut_metadata';
/** Of all pieces but the last. */
export const METADATA_PIECE_BYTES = 16 * 1024;

const REQUEST = 0;
const DATA = 1;
const REJECT = 2;

/** Three integers; others may add a few. */
const SCAN_LIMITS = { depth: 4, tokens: 64, requireSortedKeys: false, allowBytesAfter: true };

export type MetadataMessage =
  | { readonly type: 'request' | 'reject'; readonly piece: number }
  | {
      readonly type: 'data';
      readonly piece: number;
      /** What the sender says of the length of all, any integer; null: nothing. */
      readonly totalBytes: number | null;
      /** A view of the payload. */
      readonly bytes: Uint8Array;
    };

export function metadataPieceCount(lengthBytes: number): number {
  return Math.ceil(lengthBytes / METADATA_PIECE_BYTES);
}

/**
 * Null: of a type that is to be ignored (BEP 9).
 * @param payload of the extended message, hostile; a piece is any integer of 0 or more
 */
export function parseMetadataMessage(payload: Uint8Array): MetadataMessage | null | WireError {
  let fields: BencodeDictionary;
  let end: number;
  try {
    const scanned = scan(payload, SCAN_LIMITS);
    const value = decodeScanned(payload, scanned);
    if (!(value instanceof Map)) return bad('not a dictionary');
    fields = value;
    end = scanned.end;
  } catch (error) {
    if (error instanceof HaulError) return bad(error.message);
    throw error;
  }
  const type = fields.get('msg_type');
  const piece = fields.get('piece');
  if (typeof type !== 'number') return bad("'msg_type' is missing");
  if (type !== REQUEST && type !== DATA && type !== REJECT) return null;
  if (typeof piece !== 'number' || piece < 0) return bad("'piece' is missing or negative");
  if (type !== DATA) return { type: type === REQUEST ? 'request' : 'reject', piece };
  const total = fields.get('total_size');
  return { type: 'data', piece, totalBytes: typeof total === 'number' ? total : null, bytes: payload.subarray(end) };
}

export function encodeMetadataRequest(piece: number): Buffer {
  return encodeBencode({ msg_type: REQUEST, piece });
}

export function encodeMetadataReject(piece: number): Buffer {
  return encodeBencode({ msg_type: REJECT, piece });
}

/** What stands before the bytes of a piece. */
export function encodeMetadataHead(piece: number, totalBytes: number): Buffer {
  return encodeBencode({ msg_type: DATA, piece, total_size: totalBytes });
}

function bad(what: string): WireError {
  return new WireError('BAD_EXTENDED', `metadata message: ${what}`);
}
