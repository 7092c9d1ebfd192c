/**
 * The bencoded answers of our tracker (BEP 3, 7, 23, 48), written straight from the tables of the swarm: an announce is
 * answered far too often to go through an object tree. Pure. Keys stand sorted, as bencode wants them.
 */
import { ipText } from '../net/address.js';
import type { PeerTable } from './peer-table.js';
import type { SwarmView } from './swarm-view.js';

export interface ReplyShape {
  readonly intervalS: number;
  readonly minIntervalS: number;
  readonly isCompact: boolean;
  readonly noPeerId: boolean;
  /** BEP 24: where the asker comes from, 4 or 16 bytes. */
  readonly externalIp: Uint8Array;
}

/** @param text ASCII. */
export function failureReply(text: string): Buffer {
  return Buffer.from(`d14:failure reason${text.length}:${text}e`, 'latin1');
}

/** @param localSeed compact address (6 or 18 bytes) of a seed that is not in the tables, or null. */
export function announceReply(view: SwarmView, localSeed: Uint8Array | null, shape: ReplyShape): Buffer {
  const { externalIp } = shape;
  const ip = Buffer.from(externalIp.buffer, externalIp.byteOffset, externalIp.length).toString('latin1');
  const head =
    `d8:completei${view.complete}e10:downloadedi${view.downloaded}e11:external ip${ip.length}:${ip}` +
    `10:incompletei${view.incomplete}e` +
    `8:intervali${shape.intervalS}e12:min intervali${shape.minIntervalS}e`;
  return shape.isCompact ? compactReply(head, view, localSeed) : listReply(head, view, localSeed, shape.noPeerId);
}

function compactReply(head: string, view: SwarmView, localSeed: Uint8Array | null): Buffer {
  const length4 = view.count4 * 6 + (localSeed?.length === 6 ? 6 : 0);
  const length6 = view.count6 * 18 + (localSeed?.length === 18 ? 18 : 0);
  const head4 = `${head}5:peers${length4}:`;
  const head6 = length6 === 0 ? '' : `6:peers6${length6}:`;
  const reply = Buffer.allocUnsafe(head4.length + length4 + head6.length + length6 + 1);
  let at = reply.write(head4, 0, 'latin1');
  at = writeRecords(reply, at, view.table4, view.picks4, view.count4, localSeed);
  if (length6 > 0) {
    at += reply.write(head6, at, 'latin1');
    at = writeRecords(reply, at, view.table6, view.picks6, view.count6, localSeed);
  }
  reply[at] = 0x65;
  return reply;
}

function writeRecords(
  reply: Buffer,
  begin: number,
  table: PeerTable,
  picks: readonly number[],
  count: number,
  localSeed: Uint8Array | null,
): number {
  let at = begin;
  if (localSeed?.length === table.recordBytes) {
    reply.set(localSeed, at);
    at += table.recordBytes;
  }
  table.copyAddresses(picks, count, reply, at);
  return at + count * table.recordBytes;
}

/** BEP 3's original form: one dictionary per peer, both families in one list. */
function listReply(head: string, view: SwarmView, localSeed: Uint8Array | null, noPeerId: boolean): Buffer {
  const parts = [head, '5:peersl'];
  if (localSeed !== null) parts.push(peerDictionary(localSeed, null));
  for (let i = 0; i < view.count4 + view.count6; i++) {
    const is4 = i < view.count4;
    const table = is4 ? view.table4 : view.table6;
    const slot = is4 ? view.picks4[i]! : view.picks6[i - view.count4]!;
    parts.push(peerDictionary(table.address(slot), noPeerId ? null : table.peerId(slot)));
  }
  parts.push('ee');
  return Buffer.from(parts.join(''), 'latin1');
}

function peerDictionary(compact: Uint8Array, peerId: Buffer | null): string {
  const ipBytes = compact.length - 2;
  const ip = ipText(compact, 0, ipBytes);
  const port = compact[ipBytes]! * 256 + compact[ipBytes + 1]!;
  const id = peerId === null ? '' : `7:peer id20:${peerId.toString('latin1')}`;
  return `d2:ip${ip.length}:${ip}${id}4:porti${port}ee`;
}

/** BEP 48. @param files info-hash (20 Latin-1 characters) with its counts; each info-hash once. */
export function scrapeReply(
  files: ReadonlyMap<string, { complete: number; downloaded: number; incomplete: number }>,
): Buffer {
  const parts = ['d5:filesd'];
  for (const infoHash of [...files.keys()].sort()) {
    const { complete, downloaded, incomplete } = files.get(infoHash)!;
    parts.push(`20:${infoHash}d8:completei${complete}e10:downloadedi${downloaded}e10:incompletei${incomplete}ee`);
  }
  parts.push('ee');
  return Buffer.from(parts.join(''), 'latin1');
}
