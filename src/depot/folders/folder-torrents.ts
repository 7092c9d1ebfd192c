/**
 * The torrents of folders: made when somebody asks for one, kept, and seeded as those of single blobs are (`seeds.ts`).
 * Invariants: one is in the tables only as long as every row it was made of has the blob that it had then; its links
 * are there as long as it is awake; no blob is a file of the engine's because of it when `released` resolves.
 *
 *   request ── rows below the prefix ── known? ── else a job: hash ── keep ── into the tables ── rows still the same?
 *
 * It knows no names but those of the catalogue, and reads blobs through the store alone.
 */
import type { Engine, Torrent, WokenTorrent } from '../../api.js';
import { HaulError } from '../../errors.js';
import { parseTorrent } from '../../metainfo/torrent.js';
import { ABSENT } from '../../work/file-stamp.js';
import type { Catalogue } from '../catalogue/port.js';
import { DEPOT_LIMITS } from '../limits.js';
import { Locks } from '../locks.js';
import type { BlobStore, Placed } from '../store/port.js';
import { folderTorrent } from './info.js';
import { type Job, Jobs } from './jobs.js';
import { type FolderFile, layOutFolder } from './layout.js';
import { hashFolder } from './pieces.js';
import { type FolderRecord, folderKey, recordOf, torrentNameOf } from './record.js';
import { FolderRecords, type KeptFolder } from './records.js';

const SLEEP_AFTER_MS = 60_000;
const ROWS_AT_ONCE = 1_000;
/** Each holds up to so many rows as a folder may have. */
const LISTINGS_AT_ONCE = 8;
/** Of rows that change while the folder is hashed. */
const TRIES = 3;
/** When one was wanted is written down so often. */
const WANTED_MS = 60_000;

export interface FolderTorrentsOptions {
  readonly data: string;
  readonly engine: Engine;
  readonly catalogue: Pick<Catalogue, 'list' | 'get'>;
  readonly store: Pick<BlobStore, 'read' | 'pieces' | 'placeAll' | 'leaveAll'>;
  /** Folders below have no torrent, as blobs have none. Bytes. */
  readonly torrentFromBytes: number;
  readonly sleepAfterMs?: number;
  readonly limits?: Partial<FolderLimits>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export type FolderLimits = Record<
  | 'folderTorrents'
  | 'folderRecordBytes'
  | 'folderHashings'
  | 'folderHashingsWaiting'
  | 'folderWaitMs'
  | 'folderLingerMs'
  | 'folderBytes'
  | 'folderFiles',
  number
>;

/** Who asks, and how. */
export interface FolderRequest {
  /** Full, with a slash at its end. */
  readonly prefix: string;
  /** As places are shared. */
  readonly group: string;
  readonly signal: AbortSignal;
  /** Only one that was made before. */
  readonly onlyMade: boolean;
}

interface Entry extends KeptFolder {
  wantedMs: number;
  /** When that was written down. */
  notedMs: number;
}

export class FolderTorrents {
  readonly #options: FolderTorrentsOptions;
  readonly #limits: FolderLimits;
  readonly #records: FolderRecords;
  /** By id. */
  readonly #entries = new Map<string, Entry>();
  readonly #byPrefix = new Map<string, Set<Entry>>();
  /** Folders of the same name that hold the same have one torrent. */
  readonly #byInfoHash = new Map<string, Set<Entry>>();
  /** Paths of their members, by info-hash. */
  readonly #linked = new Map<string, readonly string[]>();
  readonly #locks = new Locks();
  readonly #jobs: Jobs<Entry>;
  readonly #now: () => number;
  readonly #lanes = new Locks();
  #asked = 0;
  readonly #onGone = ({ metainfo }: Torrent): void => {
    if (this.#linked.has(metainfo.infoHashHex)) void this.#unlink(metainfo.infoHashHex);
  };

  constructor(options: FolderTorrentsOptions) {
    this.#options = options;
    const limits = { ...DEPOT_LIMITS, ...options.limits };
    this.#limits = limits;
    this.#records = new FolderRecords(options.data);
    this.#now = options.now ?? Date.now;
    this.#jobs = new Jobs({
      atOnce: limits.folderHashings,
      waiting: limits.folderHashingsWaiting,
      lingerMs: limits.folderLingerMs,
    });
    options.engine.on('removed', this.#onGone);
  }

  get count(): number {
    return this.#entries.size;
  }

  /** For the tracker. @param infoHash 20 Latin-1 characters */
  has(infoHash: string): boolean {
    return this.#entries.size > 0 && this.#byInfoHash.has(Buffer.from(infoHash, 'latin1').toString('hex'));
  }

  /** What an earlier run kept. What of it is true is found out when it is wanted. */
  async load(): Promise<void> {
    for (const kept of await this.#records.list()) this.#add(kept);
    await this.#makeRoom(0);
  }

  /** Full prefixes of the folders that have this torrent. */
  prefixesOf(infoHash: string): string[] {
    return [...(this.#byInfoHash.get(infoHash) ?? [])].map(({ prefix }) => prefix);
  }

  /** Whether a torrent that is awake holds it. @param name full */
  isInUse(name: string): boolean {
    if (this.#linked.size === 0) return false;
    return this.#over(name).some(({ infoHash }) => this.#options.engine.get(infoHash) !== null);
  }

  /** Full names of all that torrents that are awake hold. */
  *namesInUse(): Generator<string> {
    for (const [infoHash, paths] of this.#linked) {
      if (this.#options.engine.get(infoHash) === null) continue;
      for (const prefix of this.prefixesOf(infoHash)) for (const path of paths) yield prefix + path;
    }
  }

  /**
   * The torrent of all that is below the prefix now.
   * @returns 'none': there is nothing, or too little for a torrent. 'hashing': it will be there later
   * @throws HaulError LIMIT, FILE_EXISTS (a path is a file and a folder), IN_USE (too many ask), and those of the store
   */
  async request(request: FolderRequest): Promise<FolderRecord | 'none' | 'hashing'> {
    for (let left = TRIES; left > 0; left--) {
      // Whoever waits longer holds no list of files.
      const looked = await this.#lanes.run(String(this.#asked++ % LISTINGS_AT_ONCE), () => this.#look(request));
      if (looked === 'none' || 'layout' in looked) return looked;
      try {
        const entry = await this.#jobs.wait(looked, this.#limits.folderWaitMs, request.signal);
        if (entry === 'late') return 'hashing';
        const record = await this.#records.get(entry.id);
        if (record !== null && this.#entries.has(entry.id)) return record;
      } catch (error) {
        const isChanged = HaulError.is(error) && (error.code === 'NOT_FOUND' || error.code === 'ABORTED');
        if (!isChanged || left === 1) throw error;
      }
    }
    throw new HaulError('IN_USE', 'the folder is being changed all the time');
  }

  /** What is there, or the job that makes it. */
  async #look({ prefix, group, signal, onlyMade }: FolderRequest): Promise<FolderRecord | 'none' | Job<Entry>> {
    if (signal.aborted) throw new HaulError('ABORTED', 'the request was given up');
    const files = await this.#filesBelow(prefix);
    const lengthBytes = files.reduce((sum, file) => sum + file.lengthBytes, 0);
    if (lengthBytes > this.#limits.folderBytes) throw tooMuch(this.#limits.folderBytes, 'bytes');
    if (lengthBytes === 0 || lengthBytes < this.#options.torrentFromBytes) return 'none';
    const key = folderKey(prefix, files);
    const made = await this.#made(prefix, key);
    if (made !== null) return made;
    if (onlyMade) return 'none';
    return this.#jobs.begin(key, group, (until) => this.#make(prefix, files, until));
  }

  /** Those that are kept, for their web seed: the same files under other prefixes. */
  async find(infoHash: string): Promise<FolderRecord[]> {
    const found: FolderRecord[] = [];
    for (const entry of this.#byInfoHash.get(infoHash) ?? []) {
      this.#want(entry);
      const record = await this.#records.get(entry.id);
      if (record !== null) found.push(record);
    }
    return found;
  }

  torrent({ infoBytes }: FolderRecord, announceUrl: string | null, webSeed: string | null): Buffer {
    return folderTorrent(infoBytes, announceUrl, webSeed);
  }

  /** A name does not point to that blob any more. Resolves when no torrent of a folder uses it because of that name. */
  async released(name: string, sha256: string): Promise<void> {
    const over = this.#over(name);
    await Promise.all(
      over.map(async (entry) => {
        const record = await this.#records.get(entry.id);
        const member = record?.members.get(name.slice(entry.prefix.length));
        if (record === null || member?.sha256 === sha256) await this.#drop(entry);
      }),
    );
  }

  /** Nothing is hashed any more. Before the engine and the store are closed. */
  stop(): Promise<void> {
    return this.#jobs.close();
  }

  /** The engine is closed: no link stays. */
  async close(): Promise<void> {
    this.#options.engine.off('removed', this.#onGone);
    await Promise.all([...this.#linked.keys()].map((infoHash) => this.#unlink(infoHash)));
  }

  async #filesBelow(prefix: string): Promise<FolderFile[]> {
    const files: FolderFile[] = [];
    let cursor: string | null = null;
    do {
      const page = await this.#options.catalogue.list({ prefix, cursor, limit: ROWS_AT_ONCE });
      for (const { name, sha256, lengthBytes } of page.rows)
        files.push({ path: name.slice(prefix.length), sha256, lengthBytes });
      if (files.length > this.#limits.folderFiles) throw tooMuch(this.#limits.folderFiles, 'artifacts');
      cursor = page.cursor;
    } while (cursor !== null);
    return files;
  }

  /** One that was made of the very same. */
  async #made(prefix: string, key: string): Promise<FolderRecord | null> {
    for (const entry of this.#byPrefix.get(prefix) ?? []) {
      if (entry.key !== key) continue;
      const record = await this.#records.get(entry.id);
      if (this.#entries.get(entry.id) !== entry) continue;
      this.#want(entry);
      if (record !== null) return record;
      await this.#drop(entry);
    }
    return null;
  }

  async #make(prefix: string, files: readonly FolderFile[], signal: AbortSignal): Promise<Entry> {
    const layout = layOutFolder(torrentNameOf(prefix), files);
    const pieces = await hashFolder(layout, { store: this.#options.store, signal });
    const record = await recordOf(prefix, layout, pieces);
    const kept = await this.#records.keep(record, pieces, this.#now());
    await this.#makeRoom(kept.recordBytes).catch(async (error: unknown) => {
      await this.#records.remove(kept.id);
      throw error;
    });
    const entry = this.#add(kept);
    // From now on it hears of every change; what changed before is seen in the rows.
    if (await this.#isTrue(record)) return entry;
    await this.#drop(entry);
    throw new HaulError('NOT_FOUND', 'the folder was changed while it was hashed');
  }

  /** Every row it was made of is there, with that blob. */
  async #isTrue({ prefix, members }: FolderRecord): Promise<boolean> {
    let left = members.size;
    let cursor: string | null = null;
    do {
      const page = await this.#options.catalogue.list({ prefix, cursor, limit: ROWS_AT_ONCE });
      for (const { name, sha256 } of page.rows) if (members.get(name.slice(prefix.length))?.sha256 === sha256) left--;
      cursor = page.cursor;
    } while (cursor !== null);
    return left === 0;
  }

  #add(kept: KeptFolder): Entry {
    const known = this.#entries.get(kept.id);
    if (known !== undefined) return known;
    const { id, prefix, infoHash } = kept;
    const entry = { ...kept, notedMs: kept.wantedMs };
    this.#entries.set(id, entry);
    this.#byPrefix.set(prefix, (this.#byPrefix.get(prefix) ?? new Set()).add(entry));
    this.#byInfoHash.set(infoHash, (this.#byInfoHash.get(infoHash) ?? new Set()).add(entry));
    this.#options.engine.registerDormant(infoHash, (wanted) => this.#wake(wanted));
    return entry;
  }

  async #drop(entry: Entry): Promise<void> {
    const { id, infoHash, prefix } = entry;
    const { engine } = this.#options;
    if (this.#entries.get(id) === entry) {
      this.#entries.delete(id);
      takeFrom(this.#byPrefix, prefix, entry);
      takeFrom(this.#byInfoHash, infoHash, entry);
      if (!this.#byInfoHash.has(infoHash)) engine.forgetDormant(infoHash);
    }
    await this.#records.remove(id);
    // Another folder has the same blobs.
    if (this.#byInfoHash.has(infoHash)) return;
    const torrent = engine.get(infoHash);
    if (torrent !== null) await engine.remove(torrent);
    await this.#unlink(infoHash);
  }

  /** Those wanted least lately go, unless somebody fetches them. @throws HaulError IN_USE */
  async #makeRoom(recordBytes: number): Promise<void> {
    const { folderTorrents, folderRecordBytes } = this.#limits;
    const isFull = (): boolean => {
      const kept = [...this.#entries.values()].reduce((sum, entry) => sum + entry.recordBytes, 0);
      const more = recordBytes > 0 ? 1 : 0;
      return this.#entries.size + more > folderTorrents || kept + recordBytes > folderRecordBytes;
    };
    while (isFull()) {
      let least: Entry | null = null;
      for (const entry of this.#entries.values()) {
        if (this.#options.engine.get(entry.infoHash) !== null) continue;
        if (least === null || entry.wantedMs < least.wantedMs) least = entry;
      }
      if (least === null) throw new HaulError('IN_USE', 'too many torrents of folders are being fetched');
      await this.#drop(least);
    }
  }

  #want(entry: Entry): void {
    entry.wantedMs = this.#now();
    if (entry.wantedMs - entry.notedMs < WANTED_MS) return;
    entry.notedMs = entry.wantedMs;
    void this.#records.wanted(entry.id, entry.wantedMs);
  }

  /** Of all folders that the name lies in. */
  #over(name: string): Entry[] {
    if (this.#byPrefix.size === 0) return [];
    const found: Entry[] = [];
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1))
      found.push(...(this.#byPrefix.get(name.slice(0, at + 1)) ?? []));
    return found;
  }

  #wake(infoHash: string): Promise<WokenTorrent | null> {
    return this.#locks.run(infoHash, async () => {
      const record = await this.#trueRecord(infoHash);
      if (record === null) return null;
      const { entries } = record.layout;
      const name = record.layout.name;
      const stored = [...record.members.values()];
      const placed = stored.map(({ path, sha256 }) => ({ path: `${name}/${path}`, sha256: sha256! }));
      this.#linked.set(infoHash, [...record.members.keys()]);
      const place = await this.#options.store.placeAll(infoHash, placed);
      if (place === null) return null;
      const metainfo = parseTorrent(folderTorrent(record.infoBytes, null, null));
      const options = { ...withPadding(place, entries), mode: 'seed' as const, trustData: true };
      const { sleepAfterMs = SLEEP_AFTER_MS } = this.#options;
      return { metainfo, options: { ...options, trackers: [], webSeeds: [] }, sleepAfterMs };
    });
  }

  /** Of those that have this torrent; one whose rows have changed (a crash kept that back) goes. */
  async #trueRecord(infoHash: string): Promise<FolderRecord | null> {
    for (const entry of this.#byInfoHash.get(infoHash) ?? []) {
      this.#want(entry);
      const record = await this.#records.get(entry.id);
      if (record !== null && (await this.#isTrue(record))) return record;
      // Not awaited: that would wait for this very wake.
      void this.#drop(entry).catch(() => {});
    }
    return null;
  }

  #unlink(infoHash: string): Promise<void> {
    return this.#locks.run(infoHash, async () => {
      // It may have been woken again meanwhile.
      if (!this.#linked.has(infoHash) || this.#options.engine.get(infoHash) !== null) return;
      this.#linked.delete(infoHash);
      await this.#options.store.leaveAll(infoHash).catch(() => {});
    });
  }
}

/** What is placed is in the order of the blobs; the torrent has padding between them. */
function withPadding(place: Placed, entries: readonly { readonly sha256: string | null }[]): Placed {
  const { output } = place;
  let next = 0;
  const placed = entries.map(({ sha256 }) => (sha256 === null ? null : next++));
  if ('hashed' in place) return { output, hashed: placed.map((at) => (at === null ? ABSENT : place.hashed[at]!)) };
  return { output, source: { read: (file, ...range) => place.source.read(placed[file]!, ...range) } };
}

function tooMuch(limit: number, what: string): HaulError {
  return new HaulError('LIMIT', `there are more than ${limit} ${what} below it: take a smaller folder`);
}

function takeFrom(map: Map<string, Set<Entry>>, key: string, entry: Entry): void {
  const entries = map.get(key);
  entries?.delete(entry);
  if (entries?.size === 0) map.delete(key);
}
