/** The 68 bytes that open a connection (BEP 3), with the reserved bits of BEP 5, 6 and 10. */
import { WireError } from './error.js';

export { clientName, makePeerId } from './peer-id.js';

export const HANDSHAKE_BYTES = 68;
/** Bytes up to and with the info-hash: enough for an incoming connection to learn which torrent it is for. */
export const HANDSHAKE_INFO_HASH_END = 48;

/*
 *  0        1                          20           28          48        68
 *  | 19     | "BitTorrent protocol"    | reserved 8 | info-hash | peer id |
 */
const PREFIX = Buffer.from('\x13BitTorrent protocol', 'latin1');
const RESERVED_AT = PREFIX.length;
const INFO_HASH_AT = RESERVED_AT + 8;
const PEER_ID_AT = HANDSHAKE_INFO_HASH_END;

/** Reserved byte 5, BEP 10. */
const EXTENDED_BIT = 0x10;
/** Reserved byte 7, BEP 6. */
const FAST_BIT = 0x04;
/** Reserved byte 7, BEP 5. */
const DHT_BIT = 0x01;

export interface HandshakeExtensions {
  /** BEP 6; default true. */
  readonly fast?: boolean;
  /** BEP 10; default true. */
  readonly extended?: boolean;
  /** BEP 5; default false. */
  readonly dht?: boolean;
}

export interface Handshake {
  /** 20 bytes, a copy. */
  readonly infoHash: Buffer;
  /** 20 bytes, a copy. */
  readonly peerId: Buffer;
  readonly supportsFast: boolean;
  readonly supportsExtended: boolean;
  readonly supportsDht: boolean;
}

/** @param infoHash 20 bytes @param peerId 20 bytes */
export function encodeHandshake(options: {
  readonly infoHash: Uint8Array;
  readonly peerId: Uint8Array;
  readonly extensions?: HandshakeExtensions;
}): Buffer {
  const { infoHash, peerId, extensions = {} } = options;
  if (infoHash.length !== 20 || peerId.length !== 20) throw new RangeError('info-hash and peer id have 20 bytes');
  const bytes = Buffer.alloc(HANDSHAKE_BYTES);
  bytes.set(PREFIX, 0);
  if (extensions.extended !== false) bytes[RESERVED_AT + 5]! |= EXTENDED_BIT;
  if (extensions.fast !== false) bytes[RESERVED_AT + 7]! |= FAST_BIT;
  if (extensions.dht === true) bytes[RESERVED_AT + 7]! |= DHT_BIT;
  bytes.set(infoHash, INFO_HASH_AT);
  bytes.set(peerId, PEER_ID_AT);
  return bytes;
}

/**
 * False as soon as the first `length` bytes cannot begin a handshake, so that garbage is dropped without waiting for 68
 * bytes.
 */
export function looksLikeHandshake(bytes: Uint8Array, length: number): boolean {
  const count = Math.min(length, bytes.length, PREFIX.length);
  for (let i = 0; i < count; i++) if (bytes[i] !== PREFIX[i]) return false;
  return true;
}

/** @param bytes exactly 68 */
export function parseHandshake(bytes: Uint8Array): Handshake | WireError {
  if (bytes.length !== HANDSHAKE_BYTES) {
    return new WireError('NOT_HANDSHAKE', `handshake of ${bytes.length} bytes, must be ${HANDSHAKE_BYTES}`);
  }
  if (!looksLikeHandshake(bytes, HANDSHAKE_BYTES)) {
    return new WireError('NOT_HANDSHAKE', 'the first bytes are not a BitTorrent handshake');
  }
  return {
    infoHash: Buffer.from(bytes.subarray(INFO_HASH_AT, PEER_ID_AT)),
    peerId: Buffer.from(bytes.subarray(PEER_ID_AT)),
    supportsFast: (bytes[RESERVED_AT + 7]! & FAST_BIT) !== 0,
    supportsExtended: (bytes[RESERVED_AT + 5]! & EXTENDED_BIT) !== 0,
    supportsDht: (bytes[RESERVED_AT + 7]! & DHT_BIT) !== 0,
  };
}
