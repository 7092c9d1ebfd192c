/**
 * What we answer to others' queries (BEP 5, 32). Pure. An answer is at most `DHT_LIMITS.answerBytes` long, whatever we
 * know: who forges the address of a victim makes us send it little.
 */

import type { BencodeInput } from '../metainfo/bencode.js';
import { type Address, COMPACT4_BYTES, COMPACT6_BYTES, toCompact } from '../net/address.js';
import { isAsFar, isUsable, mayName, reachOf } from '../net/reach.js';
import { DHT_LIMITS } from './limits.js';
import { encodeError, encodeNodes, encodeReply, type Family, PROTOCOL_ERROR, type Query } from './messages.js';
import type { PeerStore } from './peer-store.js';
import type { RoutingTable, TableNode } from './routing-table.js';
import type { Tokens } from './tokens.js';

export interface Books {
  readonly family: Family;
  readonly table: RoutingTable;
  /** Of the other family, where we have it (BEP 32). */
  readonly otherTable: () => RoutingTable | null;
  readonly peers: PeerStore;
  readonly tokens: Tokens;
  readonly random: () => number;
  /** Somebody has announced a torrent to us. */
  readonly onAnnounced: (infoHash: Buffer, peer: Address) => void;
}

/** What all but the peers of an answer may take: keys, ids, the token and the transaction. */
const FRAME_BYTES = 150;
/** Nodes of each family for who wants both: peers need room too. */
const NODES_OF_BOTH = 5;

/** @param from who asks, an IP address of our family */
export function answerQuery(query: Query, from: Address, books: Books, nowMs: number): Buffer {
  const { transaction, method } = query;
  if (method === 'ping') return reply(query, from, books, {});
  if (method === 'find_node') return reply(query, from, books, nodesFor(query, from, books));
  if (method === 'get_peers') return answerGetPeers(query, from, books, nowMs);
  const port = query.port === 0 ? from.port : query.port;
  const address = { host: from.host, port };
  const isKnown = query.token !== null && books.tokens.isValid(query.token, from.host, nowMs);
  if (!isKnown || !isUsable(address, books.family)) return encodeError(transaction, PROTOCOL_ERROR);
  books.peers.add(query.target, address, nowMs);
  books.onAnnounced(query.target, address);
  return reply(query, from, books, {});
}

type Values = { readonly [key: string]: BencodeInput | undefined };

function reply(query: Query, from: Address, { table }: Books, values: Values): Buffer {
  return encodeReply(query.transaction, { ...values, id: table.ownId }, from);
}

function answerGetPeers(query: Query, from: Address, books: Books, nowMs: number): Buffer {
  const nodes = nodesFor(query, from, books);
  const used = (nodes.nodes?.length ?? 0) + (nodes.nodes6?.length ?? 0) + FRAME_BYTES;
  const valueBytes = (books.family === 4 ? COMPACT4_BYTES : COMPACT6_BYTES) + 3;
  const room = Math.max(0, Math.floor((DHT_LIMITS.answerBytes - used) / valueBytes));
  const mayHear = ({ host }: Address): boolean => mayName(from.host, host);
  const values = books.peers.some(query.target, room, mayHear, books.random).map((address) => toCompact(address)!);
  return reply(query, from, books, {
    ...nodes,
    token: books.tokens.make(from.host, nowMs),
    ...(values.length === 0 ? {} : { values }),
  });
}

/** Those closest to the target that this one may hear of. */
function nodesFor(query: Query, from: Address, books: Books): { nodes?: Buffer; nodes6?: Buffer } {
  const { family, table } = books;
  const want = query.want ?? [family];
  const reach = reachOf(from.host);
  const accepts = (node: TableNode): boolean => isAsFar(reach, node.reach) && !node.id.equals(query.id);
  const count = want.length > 1 ? NODES_OF_BOTH : DHT_LIMITS.bucketNodes;
  const of = (wanted: Family): Buffer | undefined => {
    const source = wanted === family ? table : books.otherTable();
    if (!want.includes(wanted) || source === null) return undefined;
    return encodeNodes(source.closest(query.target, count, accepts));
  };
  const [nodes, nodes6] = [of(4), of(6)];
  return { ...(nodes === undefined ? {} : { nodes }), ...(nodes6 === undefined ? {} : { nodes6 }) };
}
