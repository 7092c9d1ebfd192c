/**
 * The torrents of the depot: rows in the table of the engine's dormant ones, and what the tracker serves. One is awake
 * while somebody wants it. Invariant: a blob is no longer a file of the engine's when `removed` resolves.
 */
import type { Engine, WokenTorrent } from '../api.js';
import { HaulError } from '../errors.js';
import { parseTorrent } from '../metainfo/torrent.js';
import { blobTorrent } from './blob-info.js';
import type { Catalogue } from './catalogue/port.js';
import { fileNameOf } from './names.js';
import type { TorrentBook } from './publish.js';
import type { BlobStore } from './store/port.js';

/** Nobody took anything for so long: it sleeps again. */
const SLEEP_AFTER_MS = 60_000;

export interface SeedsOptions {
  readonly engine: Engine;
  readonly catalogue: Pick<Catalogue, 'byInfoHash' | 'infoHashes'>;
  readonly store: Pick<BlobStore, 'sidecar' | 'place' | 'leave'>;
}

export class Seeds implements TorrentBook {
  readonly #options: SeedsOptions;
  /** Twenty bytes as Latin-1: half the memory of hexadecimal. */
  readonly #hashes = new Set<string>();

  constructor(options: SeedsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#hashes.size;
  }

  get seedPort(): number | null {
    return this.#options.engine.port;
  }

  /** For the tracker. @param infoHash 20 Latin-1 characters */
  has(infoHash: string): boolean {
    return this.#hashes.has(infoHash);
  }

  /** What the catalogue has. */
  async load(): Promise<void> {
    for await (const infoHash of this.#options.catalogue.infoHashes()) this.added(infoHash);
  }

  added(infoHash: string): void {
    const key = Buffer.from(infoHash, 'hex').toString('latin1');
    if (this.#hashes.has(key)) return;
    this.#hashes.add(key);
    this.#options.engine.registerDormant(infoHash, (hash) => this.#wake(hash));
  }

  async removed(infoHash: string): Promise<void> {
    const { engine } = this.#options;
    this.#hashes.delete(Buffer.from(infoHash, 'hex').toString('latin1'));
    engine.forgetDormant(infoHash);
    const torrent = engine.get(infoHash);
    if (torrent !== null) await engine.remove(torrent);
  }

  async #wake(infoHash: string): Promise<WokenTorrent | null> {
    const { catalogue, store } = this.#options;
    const row = await catalogue.byInfoHash(infoHash);
    if (row === null) return null;
    const fileName = fileNameOf(row.name);
    const [sidecar, place] = await Promise.all([store.sidecar(row.sha256), store.place(row.sha256, fileName)]);
    if (sidecar === null || place === null) return null;
    const { pieces, pieceLengthBytes, lengthBytes } = sidecar;
    if (pieces === null || pieceLengthBytes === null)
      throw new HaulError('BAD_DATA', `the blob ${row.sha256} has no hashes of pieces`, { sha256: row.sha256 });
    // The tracker names us by itself: nobody need announce to it.
    const metainfo = parseTorrent(blobTorrent(fileName, { pieces, pieceLengthBytes, lengthBytes }, null, null));
    const options = { ...place, mode: 'seed' as const, trustData: true, trackers: [], webSeeds: [] };
    return { metainfo, options, sleepAfterMs: SLEEP_AFTER_MS };
  }
}
