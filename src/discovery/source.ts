/** What finds addresses of peers for one torrent: trackers, and whatever else will. Types only. */
import type { Address } from '../net/address.js';
import type { AddressSource } from './address-book.js';
import type { AnnounceFigures } from './announce.js';

/** Ways to find peers that are not told by the user or by a connection. */
export type FoundBy = Extract<AddressSource, 'tracker' | 'pex' | 'lsd' | 'dht' | 'magnet'>;

/** Time is an argument, and a source owns no timer: a torrent that has nothing to do is not looked at. */
export interface PeerSource {
  readonly foundBy: FoundBy;
  /** Begins to look. @param figures what the torrent says of itself at the moment it is asked */
  start(nowMs: number, figures: () => AnnounceFigures): void;
  /** Once a second, unless all is quiet and `dueAtMs` is later. */
  tick(nowMs: number): void;
  /** When a seed without peers has something to do; Infinity: not before something happens. */
  readonly dueAtMs: number;
  /** Says goodbye within a short time limit; never rejects. */
  stop(nowMs: number): Promise<void>;
}

/** Who hears what a source finds. */
export interface PeerSourceOwner {
  onPeers(addresses: readonly Address[]): void;
}
