/**
 * Message ids and sizes of the peer wire protocol.
 * A message is a length prefix (4 bytes, big-endian), then `length` bytes of body: the id, then the fields.
 * A length of 0 is a keep-alive and has no id (BEP 3).
 */
import { LIMITS } from '../config.js';
import { WireError } from './error.js';

export const MESSAGE = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  notInterested: 3,
  have: 4,
  bitfield: 5,
  request: 6,
  piece: 7,
  cancel: 8,
  /** BEP 5 */
  port: 9,
  /** BEP 6 from here to `allowedFast` */
  suggest: 0x0d,
  haveAll: 0x0e,
  haveNone: 0x0f,
  reject: 0x10,
  allowedFast: 0x11,
  /** BEP 10 */
  extended: 20,
} as const;

/** Bytes of the length prefix. */
export const PREFIX_BYTES = 4;
/** Length prefix, id, index and begin: what stands before the payload of a `piece` message. */
export const PIECE_HEADER_BYTES = 13;
/** The part of a `piece` body that is not payload: id, index, begin. */
export const PIECE_FIELDS_BYTES = 9;
/** A whole `request`, `cancel` or `reject` message. */
export const REQUEST_MESSAGE_BYTES = 17;

/** Largest bodies accepted, all in bytes; a decoder may be given smaller ones. */
export interface WireLimits {
  /** Any message. */
  readonly messageBytes: number;
  /** Payload of one `piece` message. */
  readonly requestBytes: number;
  /** Bits of one `bitfield` message; may be lowered to the size that the torrent has. */
  readonly bitfieldBytes: number;
  /** Body of one extended message: bounds what a peer can make us hold by sending half of one. */
  readonly extendedBytes: number;
}

export const WIRE_LIMITS: WireLimits = {
  messageBytes: LIMITS.messageBytes,
  requestBytes: LIMITS.runBytes,
  bitfieldBytes: LIMITS.pieceCount / 8,
  extendedBytes: LIMITS.extendedHandshakeBytes,
};

/** Range of body lengths for each id; `max` 0 for an id we do not know. Read for every message: flat and integer. */
export interface SizeTable {
  readonly min: Int32Array;
  readonly max: Int32Array;
}

export function sizeTable(limits: WireLimits): SizeTable {
  const min = new Int32Array(256);
  const max = new Int32Array(256);
  const range = (id: number, least: number, most: number): void => {
    min[id] = least;
    max[id] = Math.min(most, limits.messageBytes);
  };
  for (const id of [MESSAGE.choke, MESSAGE.unchoke, MESSAGE.interested, MESSAGE.notInterested]) range(id, 1, 1);
  for (const id of [MESSAGE.haveAll, MESSAGE.haveNone]) range(id, 1, 1);
  for (const id of [MESSAGE.have, MESSAGE.suggest, MESSAGE.allowedFast]) range(id, 5, 5);
  for (const id of [MESSAGE.request, MESSAGE.cancel, MESSAGE.reject]) range(id, 13, 13);
  range(MESSAGE.port, 3, 3);
  range(MESSAGE.bitfield, 1, 1 + limits.bitfieldBytes);
  range(MESSAGE.piece, PIECE_FIELDS_BYTES + 1, PIECE_FIELDS_BYTES + limits.requestBytes);
  range(MESSAGE.extended, 2, limits.extendedBytes);
  return { min, max };
}

const NAMES = new Map<number, string>(
  Object.entries(MESSAGE).map(([name, id]) => [id, name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)]),
);

/** For error lines: 'not interested', 'have all', 'message 99'. */
export function messageName(id: number): string {
  return NAMES.get(id) ?? `message ${id}`;
}

export function wrongSize(id: number, length: number, sizes: SizeTable): WireError {
  const min = sizes.min[id]!;
  const max = sizes.max[id]!;
  const wanted = min === max ? `${min}` : `${min} to ${max}`;
  return new WireError('WRONG_SIZE', `${messageName(id)} has a body of ${length} bytes, must be ${wanted}`);
}

export function tooLong(length: number, limits: WireLimits): WireError {
  return new WireError('MESSAGE_TOO_LONG', `message of ${length} bytes, the limit is ${limits.messageBytes}`);
}
