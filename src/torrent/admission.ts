/** Who is refused at the door of one torrent: ourselves, second connections of one peer, those who are banned. */
import type { PeerLink } from '../peer/link.js';
import type { Handshake } from '../wire/handshake.js';
import { Bans } from './bans.js';
import type { HostSession } from './session.js';
import { judgeTwin } from './twins.js';
import { endOfId, type WirePeer } from './wire-remote.js';

export const SELF = 'connected to ourselves';

export class Admission {
  readonly #torrent: Pick<HostSession, 'environment' | 'exchange'>;
  /** Made with the first ban. */
  #bans: Bans | null;

  /** @param bans of those who lied about the metadata, or in earlier sessions */
  constructor(torrent: Pick<HostSession, 'environment' | 'exchange'>, bans: Bans | null) {
    this.#torrent = torrent;
    this.#bans = bans;
  }

  /** Null: nobody was ever banned. */
  get bans(): Bans | null {
    return this.#bans;
  }

  /** It is known by content that it sent bad data. Returns when the ban ends. */
  ban(host: string, peerId: Buffer): number {
    this.#bans ??= new Bans();
    return this.#bans.add(host, peerId, this.#torrent.environment.now());
  }

  /** Why this peer may not join, or null. @param isNamed the user named its address */
  refusal(link: PeerLink, handshake: Handshake, twin: WirePeer | null, isNamed: boolean): string | null {
    const { environment } = this.#torrent;
    if (handshake.peerId.equals(environment.peerId)) return SELF;
    const ban = this.#banOf(link, handshake, isNamed);
    if (ban !== null) return ban;
    if (twin !== null && judgeTwin(link, twin, environment.peerId, environment.now()) === 'refused')
      return 'a second connection of the same peer';
    return null;
  }

  /** Why the peer is kept out, or null. Never one that the user named, and nobody while there is no other peer. */
  #banOf(link: PeerLink, handshake: Handshake, isNamed: boolean): string | null {
    const isByHand = !link.isIncoming && isNamed;
    if (isByHand || this.#torrent.exchange?.peerCount === 0) return null;
    return this.#bans?.refusal(link.host, handshake.peerId, this.#torrent.environment.now()) ?? null;
  }

  /** The newest connection that goes by the same id. */
  twinOf(handshake: Handshake): WirePeer | null {
    let newest: WirePeer | null = null;
    const idEnd = endOfId(handshake.peerId);
    for (const other of this.#torrent.exchange?.peers ?? []) {
      if (other === null || other.remote.isWebSeed || other.remote.idEnd !== idEnd || other.remote.isClosing) continue;
      if (!other.remote.peerId.equals(handshake.peerId)) continue;
      if (newest === null || other.joinedMs > newest.joinedMs) newest = other as unknown as WirePeer;
    }
    return newest;
  }
}
