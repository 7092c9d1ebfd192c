/**
 * The extension handshake (BEP 10): the bencoded dictionary in the extended message with id 0.
 * What a field says wrongly is ignored, as other clients do; only a payload that is no dictionary is refused.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import {
  type BencodeDictionary,
  type BencodeInput,
  type BencodeValue,
  decodeChecked,
  encodeBencode,
} from '../metainfo/bencode.js';
import { ipBytes, ipText } from '../net/address.js';
import { WireError } from './error.js';
import { printable } from './text.js';

/** The id of the handshake itself in `writeExtended` and `onExtended`. */
export const EXTENDED_HANDSHAKE_ID = 0;

/** Real handshakes have two levels and about thirty values. */
const SCAN_LIMITS = { depth: 8, tokens: 2000, requireSortedKeys: false };
/** Real clients name about ten; more would only be memory held for a peer. */
const MAX_EXTENSIONS = 64;
const MAX_NAME_BYTES = 64;
const MAX_VERSION_CHARS = 100;

/** What goes around an address at the end of a handshake, bencoded. */
const YOUR_IPV4 = Buffer.from('6:yourip4:');
const YOUR_IPV6 = Buffer.from('6:yourip16:');
const END = Buffer.from('e');

export interface ExtendedHandshake {
  /**
   * Extension name to the id (1–255) that the sender wants it under. Names that were given id 0 (disabled) are left
   * out.
   */
  readonly m: ReadonlyMap<string, number>;
  /** Names that were given id 0: the peer switches them off, which matters in a second handshake. */
  readonly disabled: ReadonlySet<string>;
  /** `v`: client name and version, printable, at most 100 characters. */
  readonly version: string | null;
  /** `p`: the port the peer listens on, 1–65535. */
  readonly port: number | null;
  /** Requests the peer queues, 1 to `LIMITS.requestsPerPeer` (capped: we never send more). */
  readonly reqq: number | null;
  /**
   * `haul_request_bytes`: the longest request that the peer serves, beyond the 16 KiB that all do. Not checked against
   * any limit.
   */
  readonly requestBytes: number | null;
  /** `yourip`: our address as the peer sees it, as text. A claim, not a fact. */
  readonly yourIp: string | null;
  /** BEP 9, bytes, > 0; not checked against any limit. */
  readonly metadataSize: number | null;
  /** BEP 21: it wants nothing any more; null: it does not say, or says nothing new in a second handshake. */
  readonly uploadOnly: boolean | null;
}

export interface ExtendedHandshakeOptions {
  /** Extension name to the id (1–255; 0 disables) under which we want to receive it. */
  readonly m: Readonly<Record<string, number>> | ReadonlyMap<string, number>;
  readonly version: string;
  /** Left out when we do not listen. */
  readonly port?: number | null;
  readonly reqq: number;
  readonly requestBytes?: number;
  /** The peer's address as text; left out when it is none. */
  readonly yourIp?: string | null;
  readonly metadataSize?: number;
  /** False is said too: it was another before. */
  readonly uploadOnly?: boolean | undefined;
}

/** @returns the payload for `writeExtended(out, EXTENDED_HANDSHAKE_ID, payload)` */
export function encodeExtendedHandshake(options: ExtendedHandshakeOptions): Buffer {
  const ids: ReadonlyMap<string, number> = options.m instanceof Map ? options.m : new Map(Object.entries(options.m));
  const fields: Record<string, BencodeInput | undefined> = {
    haul_request_bytes: options.requestBytes,
    m: ids,
    metadata_size: options.metadataSize,
    p: options.port ?? undefined,
    reqq: options.reqq,
    upload_only: options.uploadOnly === undefined ? undefined : Number(options.uploadOnly),
    v: options.version,
    yourip: (options.yourIp && ipBytes(options.yourIp)) || undefined,
  };
  return encodeBencode(fields);
}

/** The same for many peers, which differ in `yourIp` alone: its key comes last in the order of BEP 3. */
export class ExtendedGreeting {
  /** All but what follows the last field. */
  readonly #head: Buffer;
  /** What it says of BEP 21. */
  readonly uploadOnly: boolean | undefined;

  constructor(options: Omit<ExtendedHandshakeOptions, 'yourIp'>) {
    this.uploadOnly = options.uploadOnly;
    this.#head = encodeExtendedHandshake(options).subarray(0, -1);
  }

  /** @param yourIp the peer's address as text; left out when it is none */
  to(yourIp: string): Buffer {
    const address = ipBytes(yourIp);
    if (address === null) return Buffer.concat([this.#head, END]);
    return Buffer.concat([this.#head, address.length === 4 ? YOUR_IPV4 : YOUR_IPV6, address, END]);
  }
}

/** @param payload of the extended message with id 0, hostile */
export function parseExtendedHandshake(payload: Uint8Array): ExtendedHandshake | WireError {
  if (payload.length > LIMITS.extendedHandshakeBytes) {
    return bad(`${payload.length} bytes, the limit is ${LIMITS.extendedHandshakeBytes}`);
  }
  let fields: BencodeValue;
  try {
    fields = decodeChecked(payload, SCAN_LIMITS);
  } catch (error) {
    if (error instanceof HaulError) return bad(error.message);
    throw error;
  }
  if (!(fields instanceof Map)) return bad('not a dictionary');
  const reqq = integer(fields, 'reqq', Number.MAX_SAFE_INTEGER);
  return {
    ...extensionIds(fields.get('m')),
    version: version(fields.get('v')),
    port: integer(fields, 'p', 65535),
    reqq: reqq === null ? null : Math.min(reqq, LIMITS.requestsPerPeer),
    requestBytes: integer(fields, 'haul_request_bytes', Number.MAX_SAFE_INTEGER),
    yourIp: address(fields.get('yourip')),
    metadataSize: integer(fields, 'metadata_size', Number.MAX_SAFE_INTEGER),
    uploadOnly: flag(fields, 'upload_only'),
  };
}

/**
 * Reads those of many peers: those of one client say the same, but for our address as they see it, which they say last.
 * What the one before said is not read again.
 */
export class ExtendedHandshakes {
  #payload: Buffer = Buffer.alloc(0);
  #said: ExtendedHandshake | null = null;
  /** Where the address begins that the last one ended with; its length, when it did not. */
  #addressAt = 0;

  /** @param payload of the extended message with id 0, hostile */
  read(payload: Uint8Array): ExtendedHandshake | WireError {
    const known = this.#said;
    const at = this.#addressAt;
    const { length } = payload;
    if (known !== null && length === this.#payload.length && this.#payload.compare(payload, 0, at, 0, at) === 0) {
      if (at === length) return known;
      if (payload[length - 1] === END[0]) return { ...known, yourIp: ipText(payload, at, 4) };
    }
    const said = parseExtendedHandshake(payload);
    if ('code' in said) return said;
    this.#payload = Buffer.from(payload);
    this.#said = said;
    const last = length - 5;
    const isLast = said.yourIp !== null && this.#payload.subarray(0, Math.max(0, last)).includes(YOUR_IPV4, -10);
    this.#addressAt = isLast && ipText(payload, last, 4) === said.yourIp ? last : length;
    return said;
  }
}

/** The payload of a message that names one piece: 4 bytes, big-endian (BEP 54 and others). */
export function pieceMessage(piece: number): Uint8Array {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(piece);
  return payload;
}

/** The piece that the payload names, any number below 2^32, or null when it is not of that form. */
export function pieceOfMessage(payload: Uint8Array): number | null {
  if (payload.length !== 4) return null;
  return payload[0]! * 0x1000000 + ((payload[1]! << 16) | (payload[2]! << 8) | payload[3]!);
}

function bad(what: string): WireError {
  return new WireError('BAD_EXTENDED', `extension handshake: ${what}`);
}

/** A field that is an integer of 1 to `max`, else null. */
function integer(fields: BencodeDictionary, key: string, max: number): number | null {
  const value = fields.get(key);
  return typeof value === 'number' && value >= 1 && value <= max ? value : null;
}

/** 0 is false, any other number true; null: it is left out, or none. */
function flag(fields: BencodeDictionary, key: string): boolean | null {
  const value = fields.get(key);
  return typeof value === 'number' ? value !== 0 : null;
}

function address(value: BencodeValue | undefined): string | null {
  if (!(value instanceof Uint8Array) || (value.length !== 4 && value.length !== 16)) return null;
  return ipText(value, 0, value.length);
}

function version(value: BencodeValue | undefined): string | null {
  if (!(value instanceof Uint8Array)) return null;
  // Four bytes are the longest character.
  const head = value.subarray(0, MAX_VERSION_CHARS * 4);
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString('utf8');
  return printable(text, MAX_VERSION_CHARS) || null;
}

function extensionIds(value: BencodeValue | undefined): Pick<ExtendedHandshake, 'm' | 'disabled'> {
  const m = new Map<string, number>();
  const disabled = new Set<string>();
  if (!(value instanceof Map)) return { m, disabled };
  for (const [name, id] of value) {
    if (m.size + disabled.size >= MAX_EXTENSIONS) break;
    if (typeof id !== 'number' || id < 0 || id > 255 || name.length > MAX_NAME_BYTES) continue;
    if (id === 0) disabled.add(name);
    else m.set(name, id);
  }
  return { m, disabled };
}
