/**
 * The torrents of the depot: rows in the table of the engine's dormant ones, and what the tracker serves. One is awake
 * while somebody wants it: then its blob is linked into a folder of its own under the torrent's name, and trusted as it
 * was hashed when it came. Invariants: a torrent is in the table as long as a row of the catalogue has it, and its link
 * is there as long as it is awake; a blob is no longer a file of the engine's when `removed` resolves.
 */
import type { Engine, Torrent, WokenTorrent } from '../api.js';
import { HaulError } from '../errors.js';
import type { Log } from '../log.js';
import { parseTorrent } from '../metainfo/torrent.js';
import { blobTorrent } from './blob-info.js';
import type { Catalogue } from './catalogue/port.js';
import { Locks } from './locks.js';
import { fileNameOf } from './names.js';
import type { TorrentBook } from './publish.js';
import { SharedTorrents } from './shared-torrents.js';
import type { BlobStore } from './store/port.js';

/** Nobody took anything for so long: it sleeps again. */
const SLEEP_AFTER_MS = 60_000;
/** A torrent of which the disk did not give a piece is not woken for so long: its peers have the web seed. */
const UNREAD_MS = 60_000;

export interface SeedsOptions {
  readonly engine: Engine;
  readonly catalogue: Pick<Catalogue, 'byInfoHash' | 'infoHashes' | 'isShared'>;
  readonly store: Pick<BlobStore, 'pieces' | 'place' | 'leave' | 'verify'>;
  /** Milliseconds; default a minute. */
  readonly sleepAfterMs?: number;
  /** Milliseconds that only go on. */
  readonly now?: () => number;
  readonly log?: Log | undefined;
}

interface Link {
  readonly sha256: string;
  readonly fileName: string;
  /** It is a file here; else its bytes come from elsewhere. */
  readonly isFile: boolean;
}

export class Seeds implements TorrentBook {
  readonly #options: SeedsOptions;
  /** Twenty bytes as Latin-1: half the memory of hexadecimal. Empty where the catalogue is shared. */
  readonly #hashes = new Set<string>();
  /** Where others publish too. */
  readonly #shared: SharedTorrents | null;
  /** Links that are there, by info-hash in hexadecimal. */
  readonly #linked = new Map<string, Link>();
  /** By info-hash in hexadecimal: until when they are left alone. */
  readonly #unread = new Map<string, number>();
  readonly #locks = new Locks();
  readonly #onAdded = (torrent: Torrent): void => {
    torrent.on('warning', (error) => this.#troubled(torrent, error));
  };
  readonly #onGone = ({ metainfo }: Torrent): void => {
    void this.#unlink(metainfo.infoHashHex);
  };

  constructor(options: SeedsOptions) {
    this.#options = options;
    options.engine.on('added', this.#onAdded);
    options.engine.on('removed', this.#onGone);
    const { catalogue, now = () => performance.now() } = options;
    const onGone = (infoHash: string): void => void this.#drop(infoHash).catch(() => {});
    this.#shared = catalogue.isShared ? new SharedTorrents({ catalogue, now, onGone }) : null;
  }

  /** Of those that are shared only what was asked for. */
  get count(): number {
    return this.#shared?.count ?? this.#hashes.size;
  }

  get seedPort(): number | null {
    return this.#options.engine.port;
  }

  /** For the tracker. @param infoHash 20 Latin-1 characters */
  has(infoHash: string): boolean {
    return this.#shared?.has(infoHash) ?? this.#hashes.has(infoHash);
  }

  /** What the catalogue has; of one that is shared nothing: it is asked when something is wanted. */
  async load(): Promise<void> {
    const { engine } = this.#options;
    if (this.#shared !== null) engine.registerUnknown((wanted) => this.#wake(wanted));
    else for await (const infoHash of this.#options.catalogue.infoHashes()) this.added(infoHash);
  }

  added(infoHash: string): void {
    this.#shared?.added(infoHash);
    if (this.#shared !== null) return;
    const key = Buffer.from(infoHash, 'hex').toString('latin1');
    if (this.#hashes.has(key)) return;
    this.#hashes.add(key);
    this.#options.engine.registerDormant(infoHash, (wanted) => this.#wake(wanted));
  }

  async removed(infoHash: string): Promise<void> {
    this.#shared?.removed(infoHash);
    this.#hashes.delete(Buffer.from(infoHash, 'hex').toString('latin1'));
    this.#unread.delete(infoHash);
    this.#options.engine.forgetDormant(infoHash);
    await this.#drop(infoHash);
  }

  /** Now and then: those that are awake may have been removed by another depot. */
  look(): void {
    if (this.#shared !== null) for (const infoHash of this.#linked.keys()) this.#shared.use(infoHash);
  }

  /** No row has it. */
  async #drop(infoHash: string): Promise<void> {
    const { engine } = this.#options;
    const torrent = engine.get(infoHash);
    if (torrent !== null) await engine.remove(torrent);
    await this.#unlink(infoHash);
  }

  /** The engine is closed: no link stays. */
  async close(): Promise<void> {
    this.#options.engine.off('added', this.#onAdded);
    this.#options.engine.off('removed', this.#onGone);
    await Promise.all([...this.#linked.keys()].map((infoHash) => this.#unlink(infoHash)));
  }

  /**
   * One piece that cannot be read holds up all that peers ask for: a torrent waits for its disk. So it ends, and they
   * have the rest from the web seed. Bytes that are published again take the place of a blob that was found bad.
   */
  #troubled(torrent: Torrent, { facts, message }: HaulError): void {
    const { infoHashHex } = torrent.metainfo;
    const link = this.#linked.get(infoHashHex);
    if (link?.isFile !== true || facts.errno !== 'EIO') return;
    const { engine, store, log } = this.#options;
    log?.('error', `the blob ${link.sha256}: ${message}; for a minute it is given by HTTP alone`);
    this.#unread.set(infoHashHex, this.#nowMs() + UNREAD_MS);
    void engine.remove(torrent).catch(() => {});
    void store.verify(link.sha256).catch(() => {});
  }

  #isUnread(infoHash: string): boolean {
    const isUnread = (this.#unread.get(infoHash) ?? Number.NEGATIVE_INFINITY) > this.#nowMs();
    if (!isUnread) this.#unread.delete(infoHash);
    return isUnread;
  }

  #nowMs(): number {
    return this.#options.now?.() ?? performance.now();
  }

  #wake(infoHash: string): Promise<WokenTorrent | null> {
    return this.#locks.run(infoHash, async () => {
      if (this.#isUnread(infoHash)) return null;
      const { store, catalogue, sleepAfterMs = SLEEP_AFTER_MS } = this.#options;
      const row = await catalogue.byInfoHash(infoHash);
      if (row === null) return null;
      const { sha256 } = row;
      const fileName = fileNameOf(row.name);
      const record = await store.pieces(sha256);
      if (record === null) return null;
      const { pieces, pieceLengthBytes, lengthBytes } = record;
      if (pieces === null || pieceLengthBytes === null)
        throw new HaulError('BAD_DATA', `the blob ${sha256} has no hashes of pieces`, { sha256 });
      const metainfo = parseTorrent(blobTorrent(fileName, { pieces, pieceLengthBytes, lengthBytes }, null, null));
      const place = await store.place(sha256, fileName);
      if (place === null) return null;
      this.#linked.set(infoHash, { sha256, fileName, isFile: 'hashed' in place });
      this.#shared?.added(infoHash);
      // The tracker names us by itself: nobody need announce to it.
      const options = { ...place, mode: 'seed' as const, trustData: true, trackers: [], webSeeds: [] };
      return { metainfo, options, sleepAfterMs };
    });
  }

  #unlink(infoHash: string): Promise<void> {
    return this.#locks.run(infoHash, async () => {
      const link = this.#linked.get(infoHash);
      // It may have been woken again meanwhile.
      if (link === undefined || this.#options.engine.get(infoHash) !== null) return;
      this.#linked.delete(infoHash);
      await this.#options.store.leave(link.sha256, link.fileName).catch(() => {});
    });
  }
}
