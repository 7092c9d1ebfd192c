/**
 * Publishes by peers. The depot is given the torrent, fetches the bytes as a peer into a folder of its own, and then
 * publishes them as it does those of a body. Owns what is on its way: which torrents of the engine they are, their
 * places, their folders.
 * Invariants: of an info-hash one is on its way at most; a name is catalogued by `publish` alone; every change of one
 * is made under the lock of its info-hash, but for the storing itself, which may take long; of what is over nothing is
 * left on the disk.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Engine, Torrent } from '../../api.js';
import { HaulError } from '../../errors.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import type { Address } from '../../net/address.js';
import type { ArtifactRow, Catalogue } from '../catalogue/port.js';
import type { Artifacts } from '../http/inside.js';
import { Locks } from '../locks.js';
import { fileNameOf, shortName } from '../names.js';
import type { BlobStore } from '../store/port.js';
import { Arrival, isSameWish } from './arrival.js';
import { P2P_LIMITS } from './limits.js';
import { ownTorrent } from './own-torrent.js';
import { Places, silent } from './places.js';
import type { ArrivalRequest, ArrivalView, Begun, ByPeers } from './port.js';
import { type Kept, Shelf } from './shelf.js';

export interface ArrivalsOptions {
  /** Ours alone. */
  readonly folder: string;
  readonly engine: Pick<Engine, 'add' | 'remove' | 'port'>;
  readonly store: Pick<BlobStore, 'space'>;
  /** Where they are published, watched and told. */
  readonly artifacts: Pick<Artifacts, 'publish' | 'find'>;
  readonly catalogue: Pick<Catalogue, 'byInfoHash'>;
  /** Whom the tracker knows of a torrent, and how its torrent hears of them. */
  readonly peersOf: (infoHash: Buffer, limit: number) => readonly Address[];
  readonly peersFound: (torrent: Torrent, addresses: readonly Address[]) => void;
  /** Shown as an upload. @returns its end */
  readonly shown: (upload: { name: string; lengthBytes: number; receivedBytes: () => number }) => () => void;
  readonly artifactBytesMax: number;
  readonly torrentFromBytes: number;
  readonly log: (level: 'warn' | 'error', message: string) => void;
  /** Milliseconds that only go on. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallClockMs: () => number;
}

export class Arrivals implements ByPeers {
  readonly #options: ArrivalsOptions;
  readonly #shelf: Shelf;
  /** Those that are not over, by info-hash in hexadecimal: in the order of their begin. */
  readonly #live = new Map<string, Arrival>();
  readonly #hashes = new Set<string>();
  readonly #byId = new Map<string, Arrival>();
  readonly #locks = new Locks();
  readonly #places: Places;
  #ticks = 0;
  #isClosed = false;

  private constructor(options: ArrivalsOptions, shelf: Shelf) {
    this.#options = options;
    this.#shelf = shelf;
    this.#places = new Places({
      live: this.#live,
      store: options.store,
      fileOf: (arrival) => this.#fileOf(arrival),
      fail: (arrival, error) => this.#fail(arrival, error),
    });
  }

  /** What was on its way when the process before ended goes on. @throws HaulError of the file system */
  static async open(options: ArrivalsOptions): Promise<Arrivals> {
    const { shelf, kept } = await Shelf.open(options.folder);
    const arrivals = new Arrivals(options, shelf);
    for (const one of kept) await arrivals.#goOn(one);
    return arrivals;
  }

  /** For the tracker. @param infoHash 20 Latin-1 characters */
  has(infoHash: string): boolean {
    return this.#hashes.has(infoHash);
  }

  async begin(request: ArrivalRequest, sent: Buffer): Promise<Begun> {
    this.#check();
    const { artifactBytesMax, torrentFromBytes } = this.#options;
    const metainfo = ownTorrent(sent, fileNameOf(request.name));
    const { lengthBytes } = metainfo.geometry;
    if (lengthBytes > artifactBytesMax)
      throw new HaulError('LIMIT', `an artifact has at most ${artifactBytesMax} bytes here`);
    if (lengthBytes < torrentFromBytes)
      return { kind: 'send', why: `an artifact of less than ${torrentFromBytes} bytes has no torrent here` };
    // It is being named, which may take long: there is nothing to change.
    const there = this.#live.get(metainfo.infoHashHex);
    if (there?.state === 'storing' && isSameOne(there, request)) return this.#arriving(there);
    return this.#locks.run(metainfo.infoHashHex, () => this.#begin(request, metainfo));
  }

  find(id: string): ArrivalView | null {
    return this.#byId.get(id)?.view(this.#options.engine.port) ?? null;
  }

  async drop(id: string): Promise<void> {
    const arrival = this.#byId.get(id);
    if (arrival === undefined) return;
    // Its end was told.
    if (arrival.isOver) {
      this.#byId.delete(id);
      return;
    }
    arrival.storing?.abort.abort();
    await arrival.storing?.over;
    const given = new HaulError('ABORTED', 'the upload was given up');
    await this.#locks.run(arrival.infoHashHex, () => this.#fail(arrival, given));
  }

  /** The same, with what it publishes seen: a name that others take is no longer waited for. */
  watch(inner: Artifacts): Artifacts {
    return {
      ...inner,
      publish: async (request) => {
        try {
          const published = await inner.publish(request);
          this.#published(published.row);
          return published;
        } catch (error) {
          // What rests must not be in the way of what comes.
          if (HaulError.is(error) && error.code === 'NO_SPACE') await this.#places.dropResting();
          throw error;
        }
      },
    };
  }

  /** Once a second. */
  tick(): void {
    const { now, wallClockMs } = this.#options;
    this.#ticks++;
    for (const arrival of this.#live.values()) {
      const { state, rest } = arrival;
      if (state === 'receiving') {
        if (!arrival.isAlive(now())) this.#inTurn(arrival, () => this.#rest(arrival));
        else if (this.#ticks % arrival.peerLookSeconds === 0) this.#lookForPeers(arrival);
      } else if (state === 'resting' && wallClockMs() - rest!.sinceMs > P2P_LIMITS.keepMs)
        this.#inTurn(arrival, async () => {
          if (arrival.state === 'resting') await this.#fail(arrival, silent());
        });
    }
    for (const [id, { isOver, overMs }] of this.#byId)
      if (isOver && now() - overMs > P2P_LIMITS.toldMs) this.#byId.delete(id);
  }

  /** What is on its way is kept for the next start. The engine is still open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { storing } of this.#live.values()) storing?.abort.abort();
    await Promise.all([...this.#live.values()].map(({ storing }) => storing?.over));
    await this.#locks.idle();
    for (const arrival of this.#live.values()) {
      arrival.onQuiet();
      await this.#endTorrent(arrival);
    }
  }

  #check(): void {
    if (this.#isClosed) throw new HaulError('CLOSED', 'the depot was closed');
  }

  /** Under the lock. */
  async #begin(request: ArrivalRequest, metainfo: Metainfo): Promise<Begun> {
    this.#check();
    // What gives way does so without its lock.
    await this.#live.get(metainfo.infoHashHex)?.leaving;
    const there = this.#live.get(metainfo.infoHashHex);
    if (there !== undefined) {
      if (!isSameOne(there, request)) return { kind: 'send', why: 'these bytes are on their way under another name' };
      if (there.state !== 'storing') await this.#again(there, request);
      return this.#arriving(there);
    }
    const row = await this.#options.artifacts.find(request.name);
    if (row?.infoHash === metainfo.infoHashHex && (request.sha256 ?? row.sha256) === row.sha256)
      return request.retentionDays === null && (request.replicas ?? null) === null
        ? { kind: 'there', row }
        : { kind: 'send', why: 'a term of what is there already is told with the bytes' };
    if (row !== null && row.infoHash !== metainfo.infoHashHex && !request.overwrite) throw taken(row.name);
    // Who knows a digest has not shown that the bytes are his to have.
    if ((await this.#options.catalogue.byInfoHash(metainfo.infoHashHex)) !== null)
      return { kind: 'send', why: 'another artifact here has this torrent' };
    return this.#places.open(request.owner, metainfo.geometry.lengthBytes, async () => {
      const kept: Kept = { id: randomBytes(16).toString('hex'), request, metainfo, rest: null };
      await this.#shelf.add(kept);
      const arrival = new Arrival(kept);
      this.#enter(arrival);
      this.#start(arrival);
      return this.#arriving(arrival);
    });
  }

  #arriving(arrival: Arrival): Begun {
    return { kind: 'arriving', view: arrival.view(this.#options.engine.port) };
  }

  async #again(arrival: Arrival, request: ArrivalRequest): Promise<void> {
    const isOther = !isSameWish(arrival.request, request);
    arrival.request = { ...request, owner: arrival.request.owner };
    const { rest } = arrival;
    if (rest === null) {
      if (isOther) await this.#shelf.note(arrival.noted);
      return;
    }
    // From now on it does not give way.
    arrival.state = 'receiving';
    arrival.rest = null;
    try {
      await this.#places.takeSpace(arrival.lengthBytes - arrival.receivedBytes);
      await this.#shelf.note(arrival.noted);
    } catch (error) {
      arrival.state = 'resting';
      arrival.rest = rest;
      throw error;
    }
    this.#start(arrival);
  }

  /** Of the process before. */
  async #goOn(kept: Kept): Promise<void> {
    const arrival = new Arrival(kept);
    const { name } = kept.request;
    const row = await this.#options.artifacts.find(name);
    this.#enter(arrival);
    // It was named, and the process ended before it was told.
    if (row?.infoHash === arrival.infoHashHex) await this.#done(arrival, row);
    else if (arrival.state === 'receiving') this.#start(arrival);
  }

  #enter(arrival: Arrival): void {
    this.#live.set(arrival.infoHashHex, arrival);
    this.#hashes.add(arrival.key);
    this.#byId.set(arrival.id, arrival);
  }

  #start(arrival: Arrival): void {
    const { engine, shown, now } = this.#options;
    const { id, lengthBytes, request } = arrival;
    arrival.state = 'receiving';
    try {
      // Its tracker is this process, which is asked without a socket.
      const options = { output: this.#shelf.dataOf(id), trackers: [], webSeeds: [], overwrite: true };
      const torrent = engine.add(arrival.metainfo!, options);
      arrival.torrent = torrent;
      arrival.beginWindow(now());
      arrival.onQuiet = shown({ name: request.name, lengthBytes, receivedBytes: () => arrival.receivedBytes });
      torrent.done.then(
        () => this.#inTurn(arrival, () => this.#whole(arrival, torrent)),
        (error: unknown) => this.#inTurn(arrival, () => this.#broken(arrival, torrent, error)),
      );
      this.#lookForPeers(arrival);
    } catch (error) {
      this.#inTurn(arrival, () => this.#fail(arrival, error));
    }
  }

  /** Under its lock, when its turn comes; what fails is told of it. */
  #inTurn(arrival: Arrival, work: () => Promise<void>): void {
    this.#locks.run(arrival.infoHashHex, work).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.log('error', `upload by peers of ${shortName(arrival.request.name)}: ${why}`);
    });
  }

  #lookForPeers({ torrent }: Arrival): void {
    if (torrent === null) return;
    const { peersFound, peersOf } = this.#options;
    peersFound(torrent, peersOf(torrent.metainfo.infoHash, P2P_LIMITS.peers));
  }

  /** It is over here, and its files are closed. */
  async #endTorrent(arrival: Arrival): Promise<void> {
    const { torrent } = arrival;
    if (torrent === null) return;
    arrival.receivedBytes = torrent.stats().verifiedBytes;
    arrival.torrent = null;
    // One that failed is none of the engine's any more.
    await this.#options.engine.remove(torrent).catch(() => {});
  }

  async #rest(arrival: Arrival): Promise<void> {
    if (arrival.state !== 'receiving' || arrival.leaving !== null || this.#isClosed) return;
    await this.#endTorrent(arrival);
    arrival.onQuiet();
    const { receivedBytes } = arrival;
    if (receivedBytes === 0) return this.#fail(arrival, silent());
    arrival.state = 'resting';
    arrival.rest = { sinceMs: this.#options.wallClockMs(), receivedBytes };
    await this.#shelf.note(arrival.noted);
  }

  async #broken(arrival: Arrival, torrent: Torrent, error: unknown): Promise<void> {
    // Ended by us.
    if (arrival.torrent !== torrent || this.#isClosed) return;
    const isEnded = HaulError.is(error) && (error.code === 'CLOSED' || error.code === 'ABORTED');
    if (isEnded) return this.#rest(arrival);
    return this.#fail(arrival, error);
  }

  /** Every piece is verified and on the device. */
  async #whole(arrival: Arrival, torrent: Torrent): Promise<void> {
    if (arrival.torrent !== torrent || arrival.state !== 'receiving' || this.#isClosed) return;
    await this.#endTorrent(arrival);
    if (this.#isClosed) return;
    arrival.onQuiet();
    arrival.state = 'storing';
    const abort = new AbortController();
    arrival.storing = { abort, over: this.#store(arrival, abort.signal) };
  }

  /** Never rejects. */
  async #store(arrival: Arrival, signal: AbortSignal): Promise<void> {
    const { request, lengthBytes } = arrival;
    const file = this.#fileOf(arrival);
    const { owner: _, ...wish } = request;
    const body = createReadStream(file, { highWaterMark: 1024 * 1024 });
    // It may never be read.
    body.on('error', () => {});
    try {
      const { row } = await this.#options.artifacts.publish({ ...wish, lengthBytes, body, file, signal });
      await this.#done(arrival, row);
    } catch (error) {
      // The next start goes on with it.
      if (!this.#isClosed) await this.#fail(arrival, error);
    } finally {
      body.destroy();
      arrival.storing = null;
    }
  }

  async #done(arrival: Arrival, row: ArtifactRow): Promise<void> {
    arrival.row = row;
    await this.#over(arrival, 'done');
  }

  async #fail(arrival: Arrival, error: unknown): Promise<void> {
    arrival.error = error;
    await this.#over(arrival, 'failed');
  }

  #over(arrival: Arrival, state: 'done' | 'failed'): Promise<void> {
    arrival.leaving ??= this.#leave(arrival, state);
    return arrival.leaving;
  }

  async #leave(arrival: Arrival, state: 'done' | 'failed'): Promise<void> {
    await this.#endTorrent(arrival);
    arrival.onQuiet();
    const { infoHashHex, key, id } = arrival;
    // Told only when nothing of it is left: whoever hears of it may begin anew.
    await this.#shelf.remove(id).catch((error: unknown) => {
      this.#options.log('error', `remove an upload by peers: ${String(error)}`);
    });
    this.#live.delete(infoHashHex);
    this.#hashes.delete(key);
    arrival.state = state;
    arrival.metainfo = null;
    arrival.overMs = this.#options.now();
    const over = [...this.#byId.values()].filter(({ isOver }) => isOver);
    for (const { id: oldest } of over.slice(0, Math.max(0, over.length - P2P_LIMITS.told))) this.#byId.delete(oldest);
  }

  /** Somebody has published it by a body. */
  #published(row: ArtifactRow): void {
    for (const arrival of this.#live.values()) {
      const { request, infoHashHex } = arrival;
      if (request.name !== row.name) continue;
      const isSame = row.infoHash === infoHashHex;
      if (!isSame && request.overwrite) continue;
      this.#inTurn(arrival, async () => {
        // What is being stored finds out by itself.
        if (arrival.state === 'storing' || arrival.isOver) return;
        await (isSame ? this.#done(arrival, row) : this.#fail(arrival, taken(row.name)));
      });
    }
  }

  #fileOf({ id, request }: Arrival): string {
    return join(this.#shelf.dataOf(id), fileNameOf(request.name));
  }
}

function taken(name: string): HaulError {
  return new HaulError('FILE_EXISTS', `there is ${shortName(name)} already`, { name });
}

function isSameOne({ request }: Arrival, { name, sha256 }: ArrivalRequest): boolean {
  return request.name === name && request.sha256 === sha256;
}
