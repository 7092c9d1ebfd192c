/**
 * Nodes that are kept over a restart, as bytes: a bencoded dictionary. Pure. What is read is as hostile as a datagram:
 * whatever it says, a few nodes are asked whether they are there.
 */
import { decodeChecked, encodeBencode } from '../metainfo/bencode.js';
import { canonicalHost } from '../net/address.js';
import { reachOf } from '../net/reach.js';
import { DHT_LIMITS } from './limits.js';
import { decodeNodes, encodeNodes, type Family, type NodeContact } from './messages.js';

export interface KnownNodes {
  readonly nodes: readonly NodeContact[];
  /** Our address on the Internet, as it was believed. */
  readonly ownHost: string | null;
}

export type NodeRecord = Readonly<Record<Family, KnownNodes>>;

const FORMAT = 1;
const KEYS: Readonly<Record<Family, { readonly nodes: string; readonly host: string }>> = {
  4: { nodes: 'nodes', host: 'ip' },
  6: { nodes: 'nodes6', host: 'ip6' },
};
const NOTHING: KnownNodes = { nodes: [], ownHost: null };

export function encodeNodeRecord(record: NodeRecord): Buffer {
  const fields = ([4, 6] as const).flatMap((family): [string, Buffer | string][] => {
    const { nodes, ownHost } = record[family];
    const kept = encodeNodes(nodes.slice(0, DHT_LIMITS.savedNodes));
    return [
      [KEYS[family].nodes, kept],
      ...(ownHost === null ? [] : [[KEYS[family].host, ownHost] as [string, string]]),
    ];
  });
  return encodeBencode(new Map<string, Buffer | string | number>([['format', FORMAT], ...fields]));
}

/** Null: it is no such record. */
export function decodeNodeRecord(bytes: Uint8Array): NodeRecord | null {
  try {
    const record = decodeChecked(bytes, { depth: 2, tokens: 64 });
    if (!(record instanceof Map) || record.get('format') !== FORMAT) return null;
    const of = (family: Family): KnownNodes => {
      const nodes = record.get(KEYS[family].nodes);
      const host = record.get(KEYS[family].host);
      const text = host instanceof Uint8Array ? canonicalHost(Buffer.from(host).toString('latin1')) : null;
      const isOwn = text !== null && text.includes(':') === (family === 6) && reachOf(text) === 'public';
      return {
        nodes:
          nodes instanceof Uint8Array ? decodeNodes(Buffer.from(nodes), family).slice(0, DHT_LIMITS.savedNodes) : [],
        ownHost: isOwn ? text : null,
      };
    };
    return { 4: of(4), 6: of(6) };
  } catch {
    return null;
  }
}

export const NO_NODES: NodeRecord = { 4: NOTHING, 6: NOTHING };
