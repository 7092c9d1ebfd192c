/**
 * The tables of a tracker as bytes, to outlive it. Pure; as soft as the tables themselves, and hostile when read.
 *
 *     record   MAGIC  seconds since 1970 (8)  part …  SHA-1 of all before (20; made and checked by whoever has a hash)
 *     part     info-hash (20)  completed downloads (4)  bytes of an address (1): 6 or 18  peers (2)  peer …
 *     peer     compact address (6 or 18)  peer id (20)  flags (1): 1 seed  seconds since its announce (2)
 *              length of zone (1)  zone
 *
 * A part is made in one go, while no announce comes between; a large swarm has several.
 */

import { isZone, ZONE_CHARS_MAX } from '../net/zone.js';
import { TRACKER_LIMITS } from './limits.js';
import type { PeerTable } from './peer-table.js';

const MAGIC = Buffer.from('haul tracker 1\n', 'latin1');
const HEAD_BYTES = MAGIC.length + 8;
export const DIGEST_BYTES = 20;
const PART_HEAD_BYTES = 27;
const PART_PEERS = 1000;
const ID_BYTES = 20;
const PEER_TAIL_BYTES = 4;
const AGE_MAX_S = 65_535;

export interface RecordedSwarm {
  /** 20 Latin-1 characters. */
  readonly infoHash: string;
  readonly downloaded: number;
}

export interface RecordedPeer {
  readonly compact: Uint8Array;
  /** 20 Latin-1 characters. */
  readonly peerId: string;
  readonly isSeed: boolean;
  /** Since its last announce, when the record was made. */
  readonly ageS: number;
  /** '' for none. */
  readonly zone: string;
}

interface Tables extends RecordedSwarm {
  readonly table4: PeerTable;
  readonly table6: PeerTable;
}

/**
 * The record without its digest, part by part; between two of them the tables may change.
 * @param clock what `seenAtS` means now.
 */
export function* encodeTables(list: readonly Tables[], savedAtS: number, clock: () => number): Generator<Buffer> {
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeBigUInt64BE(BigInt(Math.floor(savedAtS)), MAGIC.length);
  yield head;
  let bytes = HEAD_BYTES + DIGEST_BYTES;
  // By index: swarms may come and go meanwhile, and it is no harm to miss one.
  for (let at = 0; at < list.length; at++) {
    const swarm = list[at]!;
    for (const table of [swarm.table4, swarm.table6]) {
      for (let first = 0; first < table.count; first += PART_PEERS) {
        const part = encodePart(swarm, table, first, clock());
        bytes += part.length;
        if (bytes > TRACKER_LIMITS.stateBytes) return;
        yield part;
      }
    }
  }
}

/**
 * The same bytes in fewer buffers, each of at least so many bytes but the last: what is done with one costs more than
 * to make a small part.
 */
export function* gathered(parts: Iterable<Buffer>, leastBytes: number): Generator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for (const part of parts) {
    waiting.push(part);
    bytes += part.length;
    if (bytes < leastBytes) continue;
    yield Buffer.concat(waiting, bytes);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(waiting, bytes);
}

function encodePart(swarm: RecordedSwarm, table: PeerTable, first: number, nowS: number): Buffer {
  const count = Math.min(PART_PEERS, table.count - first);
  const peerBytes = table.recordBytes + ID_BYTES + PEER_TAIL_BYTES + ZONE_CHARS_MAX;
  const part = Buffer.alloc(PART_HEAD_BYTES + count * peerBytes);
  part.write(swarm.infoHash, 0, 'latin1');
  part.writeUInt32BE(Math.min(swarm.downloaded, 0xffffffff), 20);
  part[24] = table.recordBytes;
  part.writeUInt16BE(count, 25);
  let at = PART_HEAD_BYTES;
  for (let slot = first; slot < first + count; slot++) {
    at += table.address(slot).copy(part, at);
    at += table.peerId(slot).copy(part, at);
    part[at] = table.isSeed(slot) ? 1 : 0;
    part.writeUInt16BE(Math.min(AGE_MAX_S, Math.max(0, nowS - table.seenAtS(slot))), at + 1);
    const zone = table.zoneOf(slot);
    part[at + 3] = zone.length;
    at += PEER_TAIL_BYTES + part.write(zone, at + PEER_TAIL_BYTES, 'latin1');
  }
  return part.subarray(0, at);
}

/** When a record was made, in seconds since 1970; null when these bytes, without their digest, are none. */
export function recordTimeS(bytes: Buffer): number | null {
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  return Number(bytes.readBigUInt64BE(MAGIC.length));
}

/**
 * Calls `onPeer` for every peer of a record, up to the first thing that is none. Returns whether there was no such
 * thing.
 */
export function decodeTables(bytes: Buffer, onPeer: (swarm: RecordedSwarm, peer: RecordedPeer) => void): boolean {
  let at = HEAD_BYTES;
  while (at < bytes.length) {
    if (at + PART_HEAD_BYTES > bytes.length) return false;
    const swarm = { infoHash: bytes.toString('latin1', at, at + 20), downloaded: bytes.readUInt32BE(at + 20) };
    const width = bytes[at + 24]!;
    const count = bytes.readUInt16BE(at + 25);
    if ((width !== 6 && width !== 18) || count > PART_PEERS) return false;
    at += PART_HEAD_BYTES;
    for (let k = 0; k < count; k++) {
      const tail = at + width + ID_BYTES;
      const zoneAt = tail + PEER_TAIL_BYTES;
      if (zoneAt > bytes.length || zoneAt + bytes[tail + 3]! > bytes.length) return false;
      const zone = bytes.toString('latin1', zoneAt, zoneAt + bytes[tail + 3]!);
      const hasPort = bytes[at + width - 2] !== 0 || bytes[at + width - 1] !== 0;
      if (!hasPort || bytes[tail]! > 1 || (zone !== '' && !isZone(zone))) return false;
      onPeer(swarm, {
        compact: Uint8Array.prototype.slice.call(bytes, at, at + width),
        peerId: bytes.toString('latin1', at + width, tail),
        isSeed: bytes[tail] === 1,
        ageS: bytes.readUInt16BE(tail + 1),
        zone,
      });
      at = zoneAt + zone.length;
    }
  }
  return true;
}
