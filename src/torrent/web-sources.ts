/** The web seeds of one session of a torrent: made when there are some, used while something is missing. */
import type { WebSeedReport } from '../api.js';
import type { WebRemote } from '../webseed/web-remote.js';
import type { WebSeeds } from '../webseed/web-seeds.js';
import type { TorrentPeer } from './remotes.js';
import type { Session } from './session.js';

export class WebSources {
  readonly #session: Session;
  readonly #named: readonly string[];
  #seeds: WebSeeds | null = null;

  /** @param named by the user */
  constructor(session: Session, named: readonly string[]) {
    this.#session = session;
    this.#named = named;
  }

  /** Once a second, and as soon as there is an exchange. */
  use(): void {
    const { exchange, metainfo, environment, isStopping } = this.#session;
    if (exchange === null || exchange.isComplete || isStopping) return;
    if (metainfo.webSeeds.length + this.#named.length === 0) return;
    this.#seeds ??= environment.makeWebSeeds(metainfo, this.#named, environment.throttles);
    this.#seeds.use(exchange);
  }

  /** It is about to leave the exchange. */
  gone(peer: TorrentPeer, remote: WebRemote): void {
    this.#seeds?.gone(remote, this.#session.exchange?.scheduler.view.gaveBytes(peer.slot) ?? 0);
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
