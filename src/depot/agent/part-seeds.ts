/**
 * The depots as web seeds of a torrent that is being fetched: one at a time. All at once would each bring all of it
 * from where they keep it.
 */
import type { Torrent } from '../../api.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import { shownUrl } from '../../net/url.js';
import type { DepotPort } from './depot-port.js';

export class PartSeeds {
  readonly #depots: Pick<DepotPort, 'webSeedUrls' | 'follow'>;
  readonly #metainfo: Metainfo;
  #torrent: Torrent | null = null;
  #end: () => void = () => {};
  #named: string;
  /** As reports show them: they gave bytes that are not those of the torrent. */
  readonly #banned = new Set<string>();

  constructor(depots: Pick<DepotPort, 'webSeedUrls' | 'follow'>, metainfo: Metainfo) {
    this.#depots = depots;
    this.#metainfo = metainfo;
    this.#named = this.#urls[0]!;
  }

  get named(): readonly string[] {
    return [this.#named];
  }

  begin(torrent: Torrent): void {
    this.#torrent = torrent;
    this.#end = this.#depots.follow(() => this.#take(this.#urls[0]!));
    torrent.done.then(
      () => this.end(),
      () => this.end(),
    );
  }

  /** One that fails at it, or lies, makes place for the next. */
  look(): void {
    if (this.#torrent === null) return;
    const urls = this.#urls;
    const shown = shownUrl(this.#named);
    const report = this.#torrent.sources().webSeeds.find(({ url }) => url === shown);
    if (report === undefined || (report.state !== 'banned' && report.state !== 'failing')) return;
    if (report.state === 'banned') this.#banned.add(shown);
    const after = urls.indexOf(this.#named) + 1;
    const next = [...urls.slice(after), ...urls.slice(0, after)].find((url) => !this.#banned.has(shownUrl(url)));
    if (next !== undefined) this.#take(next);
  }

  /** Nothing more is fetched. */
  end(): void {
    this.#torrent = null;
    this.#end();
    this.#end = () => {};
  }

  /** The one to take first comes first. */
  get #urls(): readonly string[] {
    return this.#depots.webSeedUrls(this.#metainfo.infoHashHex, this.#metainfo.name);
  }

  #take(url: string): void {
    if (url === this.#named || this.#torrent === null || this.#banned.has(shownUrl(url))) return;
    this.#named = url;
    this.#torrent.setWebSeeds([url]);
  }
}
