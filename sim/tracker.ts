/**
 * The tracker of a virtual swarm: the real table of swarms, without HTTP. Host n has the address 10.x.y.z:6881 that its
 * number makes.
 */

import type { AnnounceReply, AnnounceRequest } from '../src/discovery/announce.js';
import type { Address } from '../src/net/address.js';
import { Swarms } from '../src/tracker/swarms.js';
import type { Host } from './host.js';
import { peerIdOf } from './roster.js';

const PORT = 6881;
const INTERVAL_S = 1800;
const COMPACT_BYTES = 6;

export function addressOf(host: number): Address {
  return { host: `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`, port: PORT };
}

export function hostOf(address: Address): number {
  const [, high, middle, low] = address.host.split('.').map(Number);
  return high! * 65536 + middle! * 256 + low!;
}

function compactOf(host: number): Uint8Array {
  return Uint8Array.of(10, (host >> 16) & 255, (host >> 8) & 255, host & 255, PORT >> 8, PORT & 255);
}

export class SimTracker {
  readonly #swarms: Swarms;
  readonly #infoHash: string;

  constructor(infoHash: Uint8Array, random: () => number) {
    this.#swarms = new Swarms({ intervalS: INTERVAL_S, registeredOnly: false, random });
    this.#infoHash = Buffer.from(infoHash).toString('latin1');
  }

  announce(host: Host, request: AnnounceRequest, nowMs: number): AnnounceReply {
    const query = {
      infoHash: this.#infoHash,
      peerId: peerIdOf(host.id).toString('latin1'),
      port: request.port,
      isSeed: request.leftBytes === 0,
      event: request.event ?? ('' as const),
      numwant: request.numwant,
      isCompact: true,
      noPeerId: false,
      ...(host.zone === undefined || host.swarm.spec.areZonesTold === false ? {} : { zone: host.zone }),
    };
    const view = this.#swarms.announce(query, compactOf(host.id), nowMs);
    if (typeof view === 'string') throw new Error(`the tracker refuses: ${view}`);
    const bytes = Buffer.alloc(view.count4 * COMPACT_BYTES);
    view.table4.copyAddresses(view.picks4, view.count4, bytes, 0);
    const peers: Address[] = [];
    for (let at = 0; at < bytes.length; at += COMPACT_BYTES) peers.push(addressOf(bytes.readUInt32BE(at) & 0xffffff));
    return {
      intervalMs: INTERVAL_S * 1000,
      minIntervalMs: 30_000,
      complete: view.complete,
      incomplete: view.incomplete,
      warning: null,
      trackerId: null,
      peers,
    };
  }
}
