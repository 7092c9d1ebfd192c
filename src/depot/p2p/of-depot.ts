/** Publishing by peers at a depot: what it needs of the depot's parts. */
import { join } from 'node:path';
import type { Engine, Torrent } from '../../api.js';
import type { Address } from '../../net/address.js';
import type { TrackerService } from '../../tracker/service.js';
import type { Registry } from '../../tracker/swarms.js';
import type { Activity } from '../activity.js';
import type { DepotOptions } from '../api.js';
import type { Catalogue } from '../catalogue/port.js';
import type { Artifacts } from '../http/inside.js';
import { DEPOT_LIMITS } from '../limits.js';
import { DEPOT_DEFAULTS } from '../publish.js';
import { spaceOf } from '../store/room.js';
import { Arrivals } from './arrivals.js';
import { trackerPeers } from './tracker-peers.js';

/** What the tracker serves: torrents that are here, and those that are on their way. */
export class OwnTorrents implements Registry {
  readonly #seeds: Registry;
  arriving: { has(infoHash: string): boolean } | null = null;

  /** @param seeds what is here */
  constructor(seeds: Registry) {
    this.#seeds = seeds;
  }

  get seedPort(): number | null {
    return this.#seeds.seedPort;
  }

  has(infoHash: string): boolean {
    return this.isLeech(infoHash) || this.#seeds.has(infoHash);
  }

  isLeech(infoHash: string): boolean {
    return this.arriving?.has(infoHash) === true;
  }
}

export interface ByPeersParts {
  readonly options: Pick<DepotOptions, 'data' | 'artifactBytesMax' | 'torrentFromBytes' | 'log'>;
  readonly engine: Engine;
  readonly catalogue: Catalogue;
  readonly tracker: TrackerService;
  readonly torrents: OwnTorrents;
  readonly activity: Activity;
  readonly artifacts: Artifacts;
  /** Of the engine. */
  readonly peersFound: (torrent: Torrent, addresses: readonly Address[]) => void;
  /** As the tracker's. */
  readonly now: () => number;
}

/** @throws HaulError of the file system */
export async function openByPeers(parts: ByPeersParts): Promise<Arrivals> {
  const { options, engine, catalogue, tracker, torrents, activity, artifacts, now } = parts;
  const arrivals = await Arrivals.open({
    folder: join(options.data, '.swarmhaul-p2p'),
    engine,
    // Of where the halves lie: a store may be elsewhere, and without bound.
    store: { space: () => spaceOf(options.data) },
    artifacts,
    catalogue,
    peersOf: (infoHash, limit) => trackerPeers(tracker.swarms, now(), infoHash, limit),
    peersFound: parts.peersFound,
    shown: (upload) => activity.began(upload),
    artifactBytesMax: options.artifactBytesMax ?? DEPOT_LIMITS.artifactBytes,
    torrentFromBytes: options.torrentFromBytes ?? DEPOT_DEFAULTS.torrentFromBytes,
    log: (level, message) => options.log?.(level, message),
    now,
    wallClockMs: Date.now,
  });
  torrents.arriving = arrivals;
  return arrivals;
}
