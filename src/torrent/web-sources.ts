/** The web seeds of one session of a torrent: made when there are some, used while something is missing. */
import type { WebSeedReport } from '../api.js';
import { Standings } from '../webseed/standings.js';
import type { WebRemote } from '../webseed/web-remote.js';
import type { WebSeeds } from '../webseed/web-seeds.js';
import type { SessionOptions } from './changes.js';
import type { TorrentPeer } from './remotes.js';
import type { Session } from './session.js';

export class WebSources {
  readonly #session: Session;
  #named: readonly string[];
  readonly #standings: Standings;
  #seeds: WebSeeds | null = null;

  /** @param options the web seeds that the user named, and what is known of all of them */
  constructor(session: Session, { webSeeds = [], standings }: Pick<SessionOptions, 'webSeeds' | 'standings'>) {
    this.#session = session;
    this.#named = webSeeds;
    this.#standings = standings ?? new Standings();
  }

  /** Once a second, and as soon as there is an exchange. */
  use(): void {
    const { exchange, metainfo, environment, isStopping } = this.#session;
    if (exchange === null || exchange.isComplete || isStopping) return;
    if (metainfo.webSeeds.length + this.#named.length === 0) return;
    this.#seeds ??= environment.makeWebSeeds(metainfo, this.#named, this.#standings, environment.throttles);
    this.#seeds.use(exchange);
  }

  /** Others are named by the user from now on. */
  name(urls: readonly string[]): void {
    this.#named = urls;
    this.#seeds?.name(urls);
    this.use();
  }

  /** It is about to leave the exchange. */
  gone(peer: TorrentPeer, remote: WebRemote): void {
    const { exchange, isStopping } = this.#session;
    // All is here: it is let go because nothing is left to ask it for.
    const isOurDoing = isStopping || exchange?.isComplete === true;
    this.#seeds?.gone(remote, exchange?.scheduler.view.gaveBytes(peer.slot) ?? 0, isOurDoing);
  }

  ban(remote: WebRemote, reason: string): void {
    this.#seeds?.ban(remote, reason);
    this.#session.tell('peer', remote.address, 'banned', reason);
  }

  reports(): readonly WebSeedReport[] {
    return this.#seeds?.reports(this.#session.exchange) ?? [];
  }

  get downloadedBytes(): number {
    return this.#seeds?.downloadedBytes(this.#session.exchange) ?? 0;
  }
}
