/**
 * What a torrent says of itself to new peers: makes the greeting, which is the same for all until something of it
 * changes, and holds the info dictionary that they are given.
 */
import type { PeerLink } from '../peer/link.js';
import type { ExtendedGreeting } from '../wire/extensions.js';
import type { Handshake } from '../wire/handshake.js';
import type { DhtOfPeers } from './environment.js';
import { MetadataShelf } from './metadata-answers.js';
import type { PeerExchange } from './pex.js';
import type { HostSession } from './session.js';
import { makeGreeting, WireRemote } from './wire-remote.js';

/** What its peers are told of the DHT, and tell; null: nothing. A private torrent keeps to its trackers (BEP 27). */
export function dhtOf({ metainfo, environment }: HostSession): DhtOfPeers | null {
  return metainfo.isPrivate ? null : environment.dht;
}

export class Introductions {
  readonly #torrent: HostSession;
  readonly #shelf: MetadataShelf;
  #greeting: ExtendedGreeting | null = null;
  #saysUploadOnly = false;
  #greetingPort: number | null = null;

  constructor(torrent: HostSession) {
    this.#torrent = torrent;
    this.#shelf = new MetadataShelf(torrent.metainfo.infoBytes, torrent.environment.throttles.uploads);
  }

  /** @param uploadOnly we want nothing any more (BEP 21) @param pex null: peers are not exchanged */
  meet(link: PeerLink, handshake: Handshake, uploadOnly: boolean, pex: PeerExchange | null): WireRemote {
    const { metainfo, environment } = this.#torrent;
    const { listenPort } = environment;
    if (uploadOnly !== this.#saysUploadOnly || listenPort !== this.#greetingPort) this.#greeting = null;
    this.#saysUploadOnly = uploadOnly;
    this.#greetingPort = listenPort;
    this.#greeting ??= makeGreeting(listenPort, metainfo.infoBytes.length, pex !== null, uploadOnly);
    return new WireRemote(link, handshake, this.#greeting, this.#shelf, pex, dhtOf(this.#torrent));
  }
}
