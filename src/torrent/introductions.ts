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
import { wirePeers } from './remotes.js';
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
  /** What was said last; undefined: nothing was ever said of it, as by who still wants something. */
  #saysUploadOnly: boolean | undefined;
  /** What those who are connected know of it. */
  #toldUploadOnly: boolean | undefined;
  #greetingPort: number | null = null;

  constructor(torrent: HostSession) {
    this.#torrent = torrent;
    this.#shelf = new MetadataShelf(torrent.metainfo.infoBytes, torrent.environment.throttles.uploads);
  }

  /** @param pex null: peers are not exchanged */
  meet(link: PeerLink, handshake: Handshake, pex: PeerExchange | null): WireRemote {
    // Those who are here hear of a change with the next `tick`.
    const { own } = this.#torrent.environment;
    return new WireRemote(link, handshake, this.#greet(pex), this.#shelf, { pex, own, dht: dhtOf(this.#torrent) });
  }

  /** Once a second: who is connected hears whether we want anything (BEP 21), when that has changed. */
  tick(pex: PeerExchange | null): void {
    if (this.#torrent.exchange === null) return;
    const greeting = this.#greet(pex);
    if (this.#saysUploadOnly === this.#toldUploadOnly) return;
    this.#toldUploadOnly = this.#saysUploadOnly;
    for (const { remote } of wirePeers(this.#torrent.exchange)) remote.greetAgain(greeting);
  }

  #greet(pex: PeerExchange | null): ExtendedGreeting {
    const { metainfo, environment, exchange } = this.#torrent;
    const { listenPort } = environment;
    const isUploadOnly = exchange?.isComplete === true && !exchange.scheduler.isSuperSeeding;
    const uploadOnly = isUploadOnly || this.#saysUploadOnly !== undefined ? isUploadOnly : undefined;
    if (uploadOnly !== this.#saysUploadOnly || listenPort !== this.#greetingPort) this.#greeting = null;
    this.#saysUploadOnly = uploadOnly;
    this.#greetingPort = listenPort;
    this.#greeting ??= makeGreeting(listenPort, metainfo.infoBytes.length, pex !== null, uploadOnly);
    return this.#greeting;
  }
}
