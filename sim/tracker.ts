/** The tracker of a virtual swarm: the real table of swarms, without HTTP. */

import type { AnnounceReply, AnnounceRequest } from '../src/discovery/announce.js';
import type { Address } from '../src/net/address.js';
import { Swarms } from '../src/tracker/swarms.js';
import { addressOf, compactOf, peerIdOf } from './addresses.js';

const INTERVAL_S = 1800;
const COMPACT_BYTES = 6;

export class SimTracker {
  readonly #swarms: Swarms;
  readonly #infoHash: string;

  constructor(infoHash: Uint8Array, random: () => number) {
    this.#swarms = new Swarms({ intervalS: INTERVAL_S, registeredOnly: false, random });
    this.#infoHash = Buffer.from(infoHash).toString('latin1');
  }

  /** @param zone that the host says it is in. */
  announce(host: number, zone: string | undefined, request: AnnounceRequest, nowMs: number): AnnounceReply {
    const query = {
      infoHash: this.#infoHash,
      peerId: peerIdOf(host).toString('latin1'),
      port: request.port,
      isSeed: request.leftBytes === 0,
      event: request.event ?? ('' as const),
      numwant: request.numwant,
      isCompact: true,
      noPeerId: false,
      ...(zone === undefined ? {} : { zone }),
    };
    const view = this.#swarms.announce(query, compactOf(host), nowMs);
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
      externalIp: null,
      peers,
    };
  }
}
