/**
 * A blob fetched from the depot by HTTP and from other agents, whatever is quicker.
 *
 * It begins as a plain HTTP stream, which gives the first byte as soon as any client gets it, and which nothing beats
 * where the depot has nobody else to serve. As soon as that stream turns out to be slow (the depot serves many, or a
 * thin line leads there), and the tracker knows others who have the blob or want it, or the stream falls silent, what
 * came becomes the begin of a torrent, and the rest is fetched as one: from peers, and from the depot as its web seed.
 * Nothing that came is fetched again. Where the depot is away, or a part is here from before, it is a torrent from the
 * start.
 *
 * The last bytes leave when the SHA-256 of the whole is right; pieces of a torrent are verified one by one beside that.
 */
import { stat } from 'node:fs/promises';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import type { Engine, Torrent } from '../../api.js';
import { HaulError } from '../../errors.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { GoneWatch } from '../gone-watch.js';
import { fileNameOf } from '../names.js';
import { readOwnFile } from '../read-own.js';
import type { ByteRange } from '../store/port.js';
import type { BlobCache, CachedBlob, Reservation } from './blob-cache.js';
import { checkTorrent } from './check-torrent.js';
import { Company } from './company.js';
import type { DepotPort, OpenedBytes } from './depot-port.js';
import { DepotAway, DepotLies } from './depot-trouble.js';
import { Deferred, type Fetch, type FetchedBytes } from './fetch.js';
import { type GivenAway, isUnkept } from './go-on.js';
import { HttpStream } from './http-stream.js';
import { AGENT_LIMITS } from './limits.js';
import { SlowWatch } from './slow-watch.js';
import { StallWatch } from './stall-watch.js';
import { TorrentPart } from './torrent-part.js';

export interface SwarmFetchOptions {
  readonly row: ArtifactRow;
  readonly reserved: Reservation;
  /** Its bytes are on their way already; null: they are asked for. */
  readonly opened: OpenedBytes | null;
  readonly cache: BlobCache;
  readonly engine: Engine;
  readonly client: DepotPort;
  readonly now: () => number;
  /** How many others have or want the torrent, as its tracker says. May reject. */
  readonly others: (metainfo: Metainfo) => Promise<number>;
  /** It is whole, and in use. @param torrent that it was fetched with, which goes on as a seed; null: there was none */
  readonly onWhole: (blob: CachedBlob, torrent: Torrent | null) => void;
  /** Trackers as the depot names them now. */
  readonly onTrackers: (tiers: readonly (readonly string[])[]) => void;
}

interface Meta {
  readonly metainfo: Metainfo;
  readonly bytes: Buffer;
}

export class SwarmFetch implements Fetch {
  readonly row: ArtifactRow;
  users = 0;
  readonly #options: SwarmFetchOptions;
  readonly #done = new Deferred<void>();
  /** There are space and a folder. */
  readonly #ready: Promise<void>;
  /** Only rejects. */
  readonly #halt = new Deferred<never>();
  /** The stream that it began as; null: it did not. */
  readonly #head = new Deferred<HttpStream | null>();
  #stream: HttpStream | null = null;
  readonly #part = new Deferred<TorrentPart>();
  #asked: Promise<Meta> | null = null;
  #torrent: TorrentPart | null = null;
  #failure: unknown = null;
  #givenAway: GivenAway = null;
  #ticked = new Deferred<void>();
  readonly #stall: StallWatch;
  readonly #gone: GoneWatch;
  readonly #ended: Promise<void>;

  constructor(options: SwarmFetchOptions) {
    this.#options = options;
    this.row = options.row;
    const { reserved, cache, row, client } = options;
    this.#stall = new StallWatch(options.now());
    const isGone = async () => (await client.resolve(row.name, AGENT_LIMITS.goneAnswerMs))?.sha256 !== row.sha256;
    this.#gone = new GoneWatch(options.now(), isGone, () => this.#fail(notAnyMore()));
    this.#ready = reserved.room.then(() => cache.folder.make(row.sha256));
    this.#ready.catch(() => {});
    this.#ended = this.#run();
  }

  get share(): number {
    if (this.#torrent !== null) return this.#torrent.share;
    return (this.#stream?.hereBytes ?? 0) / Math.max(1, this.row.lengthBytes);
  }

  get bytes(): FetchedBytes {
    const { peers, webSeed } = this.#torrent?.bytes ?? { peers: 0, webSeed: 0 };
    return { peers, webSeed: webSeed + (this.#stream?.hereBytes ?? 0) };
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  tick(): void {
    const { client, now } = this.#options;
    this.#ticked.resolve();
    this.#torrent?.tick();
    const bytes = this.bytes.peers + this.bytes.webSeed;
    const isWorking = this.#torrent?.isWorking === true;
    if (this.#torrent !== null) this.#gone.look(now(), bytes, isWorking);
    if (this.#stall.look(now(), bytes, client.isAway === true, isWorking))
      this.#fail(new DepotAway('neither the depot nor any other agent gives it'));
  }

  leave(): void {
    void this.#stream?.close();
  }

  async stop(): Promise<void> {
    // All of it is here and right: it is put away as soon as its .torrent is here.
    if (this.#stream?.isWhole === true) {
      const over = new AbortController();
      await Promise.race([this.#ended, delay(PUT_AWAY_MS, null, { signal: over.signal }).catch(() => {})]);
      over.abort();
    }
    this.#fail(new HaulError('ABORTED', 'nobody waits for it any more'));
    await this.#ended;
  }

  async *read({ begin, end }: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      let at = begin;
      const head = await this.#head.promise;
      // Who jumps far ahead of the stream would wait for all that lies between.
      if (head !== null && begin <= head.hereBytes + NEAR_BYTES) {
        try {
          for await (const slice of head.read({ begin, end }, signal)) {
            at += slice.length;
            yield slice;
          }
        } catch (error) {
          // The torrent goes on where a connection broke.
          if (!(error instanceof DepotAway)) throw error;
        }
      } else if (head !== null) this.#hurry();
      if (at >= end || signal.aborted) return;
      const part = await this.#part.promise;
      const isPatient = at > begin;
      // Of a range that ends before, the stream gives nothing that is not verified.
      const tookHead = isPatient && end === this.row.lengthBytes;
      yield* part.read({ begin: at, end }, { signal, isPatient, tookHead });
    } catch (error) {
      throw this.#failure ?? error;
    }
  }

  async givenAway(): Promise<GivenAway> {
    await this.#ended;
    return this.#givenAway;
  }

  readonly #jumped = new Deferred<'jumped'>();

  /** Somebody reads far ahead of the stream. */
  #hurry(): void {
    this.#jumped.resolve('jumped');
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const deferred of [this.#halt, this.#part, this.#head]) deferred.reject(this.#failure);
  }

  async #run(): Promise<void> {
    try {
      const { reserved, opened } = this.#options;
      if (reserved.wasHere && (await this.#ready.then(() => this.#isBegun()))) opened?.body.destroy();
      else if (await Promise.race([this.#streamed(), this.#halt.promise])) return;
      await this.#ready;
      this.#head.resolve(null);
      const part = await Promise.race([this.#join(await this.#metaAtLast()), this.#halt.promise]);
      this.#part.resolve(part);
      await Promise.race([part.whole, this.#halt.promise]);
      await this.#settle(part.torrent.metainfo, part.torrent);
    } catch (error) {
      this.#fail(error);
      await this.#giveUp(error);
    }
  }

  /** Something of it is here from before. */
  async #isBegun(): Promise<boolean> {
    const { cache } = this.#options;
    const path = cache.path({ sha256: this.row.sha256, fileName: fileNameOf(this.row.name) });
    return stat(path).then(
      () => true,
      () => false,
    );
  }

  /** By HTTP, as long as that is quick. True: all of it came so. */
  async #streamed(): Promise<boolean> {
    const { row, cache, client, opened, now, engine } = this.#options;
    const path = cache.path({ sha256: row.sha256, fileName: fileNameOf(row.name) });
    const gate = engine.gates.downloads;
    const stream = new HttpStream({ row, client, path, ready: this.#ready, opened, gate });
    this.#stream = stream;
    this.#head.resolve(stream);
    // The depot makes it in the time in which it could send the first bytes, which leave here before we ask for it.
    stream.begun.promise
      .then(() => setImmediate())
      .then(() => this.#meta())
      .then(
        ({ metainfo }) => stream.checkBy(metainfo),
        () => {},
      );
    const watch = new SlowWatch(row.lengthBytes, () => stream.hereBytes, now);
    const company = new Company(async () => this.#options.others((await this.#meta()).metainfo));
    try {
      const outcome = await Promise.race([
        stream.whole.promise.then(() => 'whole' as const),
        // Alone with the depot a torrent could not be quicker than this stream.
        watch.slow.then(() => company.found),
        watch.silent,
        this.#jumped.promise,
        this.#halt.promise,
      ]).catch((error: unknown) => {
        if (error instanceof DepotAway) return 'away' as const;
        throw error;
      });
      if (outcome === 'whole') {
        await this.#settle((await this.#metaAtLast()).metainfo, null);
        return true;
      }
      // Whoever reads along waits for the torrent, so what it needs comes first.
      await this.#makeWay(await this.#metaAtLast());
      await stream.close();
      return false;
    } finally {
      watch.end();
      company.end();
    }
  }

  /** The torrent of a blob that was evicted a moment ago may be saying goodbye to its tracker still. */
  async #makeWay({ metainfo }: Meta): Promise<void> {
    const { engine } = this.#options;
    const before = engine.get(metainfo.infoHashHex);
    if (before !== null) await engine.remove(before).catch(() => {});
  }

  async #join(meta: Meta): Promise<TorrentPart> {
    const { row, cache, engine, client } = this.#options;
    const { metainfo } = meta;
    await this.#makeWay(meta);
    // It was stopped meanwhile, and nobody would close the torrent.
    if (this.#failure !== null) throw this.#failure;
    const part = new TorrentPart({
      row,
      path: cache.path({ sha256: row.sha256, fileName: metainfo.name }),
      engine,
      metainfo,
      output: cache.folder.data(row.sha256),
      depots: client,
      head: this.#stream?.head ?? null,
    });
    this.#torrent = part;
    return part;
  }

  #meta(): Promise<Meta> {
    this.#asked ??= this.#askMeta();
    this.#asked.catch(() => {});
    return this.#asked;
  }

  /**
   * Of a depot that went away with the .torrent unasked for: who reads what the stream gave waits for it to come back,
   * as long as for anything else.
   */
  async #metaAtLast(): Promise<Meta> {
    for (;;) {
      try {
        return await Promise.race([this.#meta(), this.#halt.promise]);
      } catch (error) {
        const hasGiven = (this.#stream?.hereBytes ?? 0) > 0;
        if (!hasGiven || this.#failure !== null || !(error instanceof DepotAway)) throw error;
      }
      this.#asked = null;
      this.#ticked = new Deferred();
      await Promise.race([this.#ticked.promise, this.#halt.promise]);
    }
  }

  /** The .torrent of the depot, or the one that a fetch of before has left. */
  async #askMeta(): Promise<Meta> {
    const { row, cache, client, onTrackers } = this.#options;
    const place = cache.folder.torrent(row.sha256);
    try {
      const given = await client.torrent(row.name);
      if (given === null) throw notAnyMore();
      const meta = checkTorrent(given, row);
      onTrackers(meta.metainfo.trackers);
      await this.#ready;
      await cache.folder.replace(place, meta.bytes, false);
      return meta;
    } catch (error) {
      const kept = error instanceof DepotAway ? await readOwnFile(place).catch(() => null) : null;
      if (kept === null) throw error;
      return checkTorrent(kept, row);
    }
  }

  async #settle({ infoHashHex, name }: Metainfo, torrent: Torrent | null): Promise<void> {
    const { reserved, cache, onWhole } = this.#options;
    const whole = await cache.settle(reserved.blob, { infoHash: infoHashHex, fileName: name });
    onWhole(whole, torrent);
    this.#done.resolve();
  }

  async #giveUp(error: unknown): Promise<void> {
    const { cache, opened } = this.#options;
    const { blob } = this.#options.reserved;
    await this.#ready.catch(() => {});
    opened?.body.destroy();
    await this.#stream?.stop();
    if (isUnkept(error)) this.#givenAway = await this.#knownOfGiven();
    await this.#stream?.close();
    await this.#torrent?.close();
    const isBad = error instanceof DepotLies || (error instanceof HaulError && BAD.has(error.code)) || isUnkept(error);
    const hasTorrent = await stat(cache.folder.torrent(blob.sha256)).catch(() => null);
    if (isBad || hasTorrent === null) await cache.drop(blob);
    else await cache.leavePart(blob);
    this.#done.reject(error);
  }

  /** What a torrent gave is verified, what a stream gave need not be. */
  async #knownOfGiven(): Promise<GivenAway> {
    if (this.#stream === null) return 'verified';
    return (this.#torrent ?? this.#stream).given();
  }
}

function notAnyMore(): HaulError {
  return new HaulError('NOT_FOUND', 'the artifact is not what it was a moment ago; ask again');
}

/** The depot gives a .torrent within milliseconds, or it is in trouble. */
const PUT_AWAY_MS = 2_000;

/** A reader that begins so far ahead of the stream still waits for it. */
const NEAR_BYTES = 1024 * 1024;

const BAD: ReadonlySet<string> = new Set(['MISMATCH', 'BAD_DATA', 'BAD_TORRENT', 'BAD_BENCODE', 'NOT_FOUND']);
