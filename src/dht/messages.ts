/**
 * Datagrams of the DHT (BEP 5; BEP 32: IPv6; BEP 42: `ip`; BEP 43: `ro`), one bencoded dictionary each. Pure; every
 * byte of them is hostile.
 *
 *     q  { t, y: 'q', q: 'ping' | 'find_node' | 'get_peers' | 'announce_peer', a: { id, … }, ro? }
 *     r  { t, y: 'r', r: { id, nodes?, nodes6?, values?, token? }, ip? }
 *     e  { t, y: 'e', e: [code, text] }
 */

import {
  type BencodeDictionary,
  type BencodeInput,
  type BencodeValue,
  decodeChecked,
  encodeBencode,
} from '../metainfo/bencode.js';
import { type Address, COMPACT4_BYTES, COMPACT6_BYTES, ipBytes, ipText, toCompact } from '../net/address.js';
import { isUsable } from '../net/reach.js';
import { DHT_LIMITS } from './limits.js';
import { ID_BYTES } from './node-id.js';

export type Family = 4 | 6;

export interface NodeContact {
  /** 20 bytes. */
  readonly id: Buffer;
  readonly address: Address;
}

export interface Query {
  readonly kind: 'query';
  readonly transaction: Buffer;
  readonly id: Buffer;
  /** `find_node` for a method we do not know that names a target: so BEP 5 means to be extended. */
  readonly method: 'ping' | 'find_node' | 'get_peers' | 'announce_peer';
  /** 20 bytes; of a ping its sender's. */
  readonly target: Buffer;
  /** It neither answers nor wants to be remembered (BEP 43). */
  readonly isReadOnly: boolean;
  /** Which nodes it wants to hear of (BEP 32); null: those of its own family. */
  readonly want: readonly Family[] | null;
  /** Of `announce_peer`. 0: the port it sends from. */
  readonly port: number;
  readonly token: Buffer | null;
}

export interface Reply {
  readonly kind: 'reply';
  readonly transaction: Buffer;
  readonly id: Buffer;
  /** At addresses that can be dialled. */
  readonly nodes: readonly NodeContact[];
  readonly nodes6: readonly NodeContact[];
  /** Peers of the torrent, of both families. */
  readonly values: readonly Address[];
  readonly token: Buffer | null;
  /** Our address as it sees it. */
  readonly ip: string | null;
}

export interface ErrorReply {
  readonly kind: 'error';
  readonly transaction: Buffer;
  readonly code: number;
}

/** A query that can be answered only by saying so. */
export interface BadQuery {
  readonly kind: 'bad query';
  readonly transaction: Buffer;
  readonly code: ErrorCode;
}

export type Message = Query | Reply | ErrorReply | BadQuery;

export const PROTOCOL_ERROR = 203;
export const METHOD_UNKNOWN = 204;
export type ErrorCode = typeof PROTOCOL_ERROR | typeof METHOD_UNKNOWN;

const ERROR_TEXTS: Readonly<Record<ErrorCode, string>> = {
  [PROTOCOL_ERROR]: 'Protocol Error',
  [METHOD_UNKNOWN]: 'Method Unknown',
};
const METHODS: ReadonlySet<string> = new Set(['ping', 'find_node', 'get_peers', 'announce_peer']);

/** We, and of which version, as others name themselves. */
const CLIENT = Buffer.from('SH\0\x01', 'latin1');
/** A message has three levels; room for what others add. */
const SCAN_LIMITS = { depth: 8, tokens: 600, requireSortedKeys: false };

/** Null: it is no message of the DHT, and nobody is told so. */
export function decodeMessage(bytes: Uint8Array): Message | null {
  if (bytes.length === 0 || bytes.length > DHT_LIMITS.messageBytes || bytes[0] !== 0x64) return null;
  let message: BencodeValue;
  try {
    message = decodeChecked(bytes, SCAN_LIMITS);
  } catch {
    return null;
  }
  if (!(message instanceof Map)) return null;
  const transaction = bytesOf(message.get('t'));
  if (transaction === null || transaction.length === 0 || transaction.length > DHT_LIMITS.transactionBytes) return null;
  const kind = textOf(message.get('y'));
  if (kind === 'q') return decodeQuery(message, transaction);
  if (kind === 'r') return decodeReply(message, transaction);
  return kind === 'e' ? decodeError(message, transaction) : null;
}

function decodeQuery(message: BencodeDictionary, transaction: Buffer): Query | BadQuery {
  const bad = (code: ErrorCode): BadQuery => ({ kind: 'bad query', transaction, code });
  const named = textOf(message.get('q'));
  const given = message.get('a');
  if (named === null || !(given instanceof Map)) return bad(PROTOCOL_ERROR);
  const id = idOf(given.get('id'));
  if (id === null) return bad(PROTOCOL_ERROR);
  const target = idOf(given.get('info_hash')) ?? idOf(given.get('target'));
  if (!METHODS.has(named) && target === null) return bad(METHOD_UNKNOWN);
  const method = (METHODS.has(named) ? named : 'find_node') as Query['method'];
  if (method !== 'ping' && target === null) return bad(PROTOCOL_ERROR);
  const token = bytesOf(given.get('token'));
  const port = given.get('implied_port') === 1 ? 0 : given.get('port');
  const isImplied = given.get('implied_port') === 1;
  if (method === 'announce_peer' && (token === null || !(isImplied || isPort(port)))) return bad(PROTOCOL_ERROR);
  return {
    kind: 'query',
    transaction,
    id,
    method,
    target: target ?? id,
    isReadOnly: message.get('ro') === 1,
    want: wantOf(given.get('want')),
    port: isPort(port) ? port : 0,
    token: token !== null && token.length <= DHT_LIMITS.tokenBytes ? token : null,
  };
}

function decodeReply(message: BencodeDictionary, transaction: Buffer): Reply | null {
  const given = message.get('r');
  if (!(given instanceof Map)) return null;
  const id = idOf(given.get('id'));
  if (id === null) return null;
  const token = bytesOf(given.get('token'));
  return {
    kind: 'reply',
    transaction,
    id,
    nodes: nodesOf(bytesOf(given.get('nodes')), 4),
    nodes6: nodesOf(bytesOf(given.get('nodes6')), 6),
    values: valuesOf(given.get('values')),
    token: token !== null && token.length <= DHT_LIMITS.tokenBytes ? token : null,
    ip: ownAddressOf(bytesOf(message.get('ip'))),
  };
}

function decodeError(message: BencodeDictionary, transaction: Buffer): ErrorReply {
  const given = message.get('e');
  const code = Array.isArray(given) ? given[0] : null;
  return { kind: 'error', transaction, code: typeof code === 'number' ? code : PROTOCOL_ERROR };
}

function bytesOf(value: BencodeValue | undefined): Buffer | null {
  if (!(value instanceof Uint8Array)) return null;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function textOf(value: BencodeValue | undefined): string | null {
  return bytesOf(value)?.toString('latin1') ?? null;
}

function idOf(value: BencodeValue | undefined): Buffer | null {
  const bytes = bytesOf(value);
  return bytes?.length === ID_BYTES ? bytes : null;
}

function isPort(value: BencodeValue | undefined): value is number {
  return typeof value === 'number' && value >= 1 && value <= 65_535;
}

function wantOf(value: BencodeValue | undefined): Family[] | null {
  if (!Array.isArray(value)) return null;
  const words = value.slice(0, 4).map((item) => (item instanceof Uint8Array ? textOf(item) : null));
  const families: Family[] = [];
  if (words.includes('n4')) families.push(4);
  if (words.includes('n6')) families.push(6);
  return families.length > 0 ? families : null;
}

/** Whole entries with usable addresses, as many as a bucket has: a longer list is no better. */
function nodesOf(bytes: Buffer | null, family: Family): NodeContact[] {
  const entryBytes = ID_BYTES + (family === 4 ? COMPACT4_BYTES : COMPACT6_BYTES);
  if (bytes === null || bytes.length % entryBytes !== 0) return [];
  const nodes: NodeContact[] = [];
  for (let at = 0; at < bytes.length && nodes.length < DHT_LIMITS.nodesPerReply; at += entryBytes) {
    const address = addressAt(bytes, at + ID_BYTES, entryBytes - ID_BYTES);
    if (isUsable(address, family)) nodes.push({ id: Buffer.from(bytes.subarray(at, at + ID_BYTES)), address });
  }
  return nodes;
}

function valuesOf(value: BencodeValue | undefined): Address[] {
  if (!Array.isArray(value)) return [];
  const addresses: Address[] = [];
  for (const item of value) {
    const bytes = item instanceof Uint8Array ? bytesOf(item) : null;
    if (bytes?.length !== COMPACT4_BYTES && bytes?.length !== COMPACT6_BYTES) continue;
    const address = addressAt(bytes, 0, bytes.length);
    if (isUsable(address, bytes.length === COMPACT4_BYTES ? 4 : 6)) addresses.push(address);
  }
  return addresses;
}

function addressAt(bytes: Buffer, at: number, lengthBytes: number): Address {
  return { host: ipText(bytes, at, lengthBytes - 2), port: bytes.readUInt16BE(at + lengthBytes - 2) };
}

/** With or without the port. */
function ownAddressOf(bytes: Buffer | null): string | null {
  if (bytes === null) return null;
  if (bytes.length === 4 || bytes.length === COMPACT4_BYTES) return ipText(bytes, 0, 4);
  return bytes.length === 16 || bytes.length === COMPACT6_BYTES ? ipText(bytes, 0, 16) : null;
}

/** 26 bytes each (IPv6: 38). */
export function encodeNodes(nodes: readonly NodeContact[]): Buffer {
  return Buffer.concat(nodes.flatMap(({ id, address }) => [id, toCompact(address)!]));
}

export function decodeNodes(bytes: Buffer, family: Family): NodeContact[] {
  const entryBytes = ID_BYTES + (family === 4 ? COMPACT4_BYTES : COMPACT6_BYTES);
  const nodes: NodeContact[] = [];
  for (let at = 0; at + entryBytes <= bytes.length; at += entryBytes) {
    nodes.push(...nodesOf(bytes.subarray(at, at + entryBytes), family));
  }
  return nodes;
}

export function encodeQuery(
  transaction: Uint8Array,
  method: Query['method'],
  args: { readonly [key: string]: BencodeInput | undefined },
  isReadOnly: boolean,
): Buffer {
  return encodeBencode({ a: args, q: method, ro: isReadOnly ? 1 : undefined, t: transaction, v: CLIENT, y: 'q' });
}

/** @param to who asked: it is told how we see it (BEP 42) */
export function encodeReply(
  transaction: Uint8Array,
  values: { readonly [key: string]: BencodeInput | undefined },
  to: Address,
): Buffer {
  const ip = ipBytes(to.host) === null ? undefined : toCompact(to)!;
  return encodeBencode({ ip, r: values, t: transaction, v: CLIENT, y: 'r' });
}

export function encodeError(transaction: Uint8Array, code: ErrorCode): Buffer {
  return encodeBencode({ e: [code, ERROR_TEXTS[code]], t: transaction, y: 'e' });
}
