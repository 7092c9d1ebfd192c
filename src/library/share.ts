/**
 * Shares a file or folder from one process: makes the torrent, serves it over HTTP, tracks and seeds. What `haul share`
 * is made of. Ports are opened before the hashing, so that a busy port is told at once.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine, EngineOptions, Torrent } from '../api.js';
import { DEFAULTS } from '../config.js';
import { createEngine } from '../engine/engine.js';
import { HaulError } from '../errors.js';
import { formatMagnet } from '../magnet/link.js';
import { withTrackers } from '../metainfo/torrent.js';
import { type Address, isDialable, makeAddress } from '../net/address.js';
import { ADVERTISED_RULE, type Advertised, advertisedUrl, parseAdvertised } from '../net/advertised.js';
import { hostForUrl, LOOPBACK, localAddresses, torrentUrlPath } from '../net/own-addresses.js';
import type { TorrentHandle } from '../torrent/handle.js';
import type { TrackerServer } from '../tracker/server.js';
import {
  callable,
  checkOptions,
  checkValue,
  flag,
  port,
  type Rule,
  type Rules,
  signal,
  threads,
  words,
} from './check-options.js';
import {
  type CreatedTorrent,
  checkSource,
  hashSource,
  TORRENT_FIELD_RULES,
  type TorrentFields,
  unusedGlobs,
} from './create.js';
import { makeExclusion } from './glob.js';
import { sharedFiles, webSeedUrl } from './shared-data.js';
import { openTracker, TRACKER_SETTING_RULES, type TrackerSettings } from './tracker.js';

/** Options of `share`. */
export interface ShareOptions extends TorrentFields {
  /** Further trackers, named in the .torrent behind our own, and announced to. Default: none. */
  readonly trackers?: readonly (readonly string[])[];
  /** TCP port of the .torrent and the tracker, 0 for any free one; default the first free of 6969 to 6988. */
  readonly httpPort?: number;
  /** Local address for HTTP; default: all. That of peers is `engine.host`. */
  readonly host?: string;
  /**
   * What others are told of this machine: HOST, HOST:PORT or an http(s) URL, where they reach it by another address
   * than its own. A port or URL is that of HTTP; peers are told the host. Default: the address they came by.
   */
  readonly advertise?: string;
  /** Of the tracker: what it keeps over a restart, how often it is asked, how much one address may hold. */
  readonly tracker?: TrackerSettings;
  /** Of the engine that seeds: ports, limits, memory. */
  readonly engine?: EngineOptions;
  /**
   * The data itself can be fetched by HTTP too, and the .torrent names that as a web seed (BEP 19); limits on what is
   * sent hold for it too. Default true, but not with `superSeeding`, nor where there is such a limit at the start: the
   * little that may be sent is for peers, who spread it.
   */
  readonly webSeed?: boolean;
  /** BEP 16: for the first push, where nobody else has the data yet. See `AddOptions.superSeeding`. */
  readonly superSeeding?: boolean;
  /** Threads that hash the source; default: all cores. */
  readonly threads?: number;
  /** How many of the bytes are hashed. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Receives one line per noteworthy event of tracker and engine. */
  readonly log?: NonNullable<EngineOptions['log']>;
  /** Ends it: while it hashes it rejects with ABORTED, later it is closed. */
  readonly signal?: AbortSignal;
}

/** Something that is being shared. */
export interface Share {
  /** The seed. Its `done` resolves at once, unless a file was changed since it was hashed. */
  readonly torrent: Torrent;
  readonly engine: Engine;
  readonly tracker: TrackerServer;
  /** What was made; without a tracker of ours, whose address depends on who asks. */
  readonly created: CreatedTorrent;
  /** Addresses by which others may reach this machine, likeliest first; may be empty. */
  readonly hosts: readonly string[];
  /**
   * Where the .torrent is. Each client gets one that names the tracker by the address it came by.
   * @param host a name or address of this machine; default: the likeliest
   */
  torrentUrl(host?: string): string;
  /** Where the tracker is. @param host a name or address of this machine; default: the likeliest */
  announceUrl(host?: string): string;
  /**
   * A magnet link that names the tracker, the data by HTTP where it is offered, and this seed, unless the torrent is
   * private.
   * @param host a name or address of this machine; default: the likeliest
   */
  magnetLink(host?: string): string;
  /** Ends everything: says goodbye, closes files and ports. Idempotent. */
  close(): Promise<void>;
  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

const isObject: Rule = (value) => (typeof value === 'object' && value !== null ? null : 'must be an object');

const RULES: Rules<ShareOptions> = {
  ...TORRENT_FIELD_RULES,
  advertise: (value) => (typeof value === 'string' && parseAdvertised(value) !== null ? null : ADVERTISED_RULE),
  httpPort: port,
  host: words,
  tracker: isObject,
  engine: isObject,
  webSeed: flag,
  superSeeding: flag,
  threads,
  onProgress: callable,
  log: callable,
  signal,
};

/** What the command wants beside. */
export interface ShareAllOptions extends ShareOptions {
  /** Before one of the paths is hashed. */
  readonly onSource?: (source: string) => void;
  /** Where the tracker keeps its peers, once its port is known; null for nowhere. */
  readonly stateFileOf?: (port: number) => string | null;
}

/**
 * Shares a file or folder until `close`. Resolves when peers can get it: the ports are open and all of it is hashed.
 * @throws HaulError as `createTorrent`, `startTracker` and `createEngine` do; nothing is left open then
 */
export async function share(path: string, options: ShareOptions = {}): Promise<Share> {
  checkValue('share', 'path', path, words);
  checkOptions('share', options, RULES);
  checkOptions('share.tracker', options.tracker ?? {}, TRACKER_SETTING_RULES);
  return (await shareAll([path], options))[0]!;
}

/** A torrent for each path, one engine and one tracker for all: closing one closes all. @throws HaulError as `share` */
export async function shareAll(paths: readonly string[], options: ShareAllOptions): Promise<readonly Share[]> {
  const { host, signal: stop, log, superSeeding, trackers = [] } = options;
  const sources = await Promise.all(paths.map(checkSource));
  checkNames(sources);
  const advertised = options.advertise === undefined ? null : parseAdvertised(options.advertise);
  const tracker = await openHttp(options, advertised, await seedAddresses(advertised));
  const logging = log === undefined ? {} : { log };
  let engine: Engine | null = null;
  const close = async (): Promise<void> => {
    stop?.removeEventListener('abort', onAbort);
    await engine?.close();
    await tracker.close();
  };
  const onAbort = (): void => void close();
  try {
    engine = await createEngine({
      ...logging,
      ...(advertised === null ? {} : { announceAs: { host: advertised.host } }),
      ...options.engine,
    });
    const made: { readonly source: string; readonly created: CreatedTorrent }[] = [];
    const exclusion = makeExclusion(options.exclude ?? []);
    for (const [index, source] of sources.entries()) {
      options.onSource?.(source);
      const created = await hashSource(source, { ...hashOptions(options), trackers: [] }, exclusion);
      if (stop?.aborted === true) throw new HaulError('ABORTED', `share ${source}: it was stopped`);
      const warnings = index < sources.length - 1 ? [] : unusedGlobs(exclusion);
      made.push({ source, created: { ...created, warnings: [...created.warnings, ...warnings] } });
    }
    const shares: Share[] = [];
    for (const { source, created } of made) {
      const torrent = engine.add(created.bytes, {
        output: dirname(source),
        mode: 'seed',
        // Hashed a moment ago by ourselves; what somebody puts in their place is not served.
        trustData: true,
        hashed: created.hashed,
        // Ours needs no announce: it lists this seed by itself.
        trackers,
        superSeeding: superSeeding === true,
      });
      const isData = options.webSeed ?? (superSeeding !== true && options.engine?.uploadBytesPerSec === undefined);
      const magnet = { trackers: trackers.flat(), webSeeds: options.webSeeds ?? [], isData };
      const share = shareOf({ torrent, engine, tracker, created, host, advertised, close, magnet });
      if (isData)
        tracker.serveData(sharedFiles(created, dirname(source), (torrent as TorrentHandle).throttles.uploads));
      offer(share, trackers, isData ? (options.webSeeds ?? []) : null);
      shares.push(share);
    }
    stop?.addEventListener('abort', onAbort, { once: true });
    return shares;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Each torrent has the URL of its name. */
function checkNames(sources: readonly string[]): void {
  const byName = new Map<string, string>();
  for (const source of sources) {
    const name = basename(source);
    const other = byName.get(name);
    if (other !== undefined) {
      const text = `${other} and ${source} have the same name, and so would their torrents; share them apart`;
      throw new HaulError('BAD_ARGUMENT', text, { path: source });
    }
    byName.set(name, source);
  }
}

/**
 * Peers are named by address: a name is looked up once. This machine may know its own name as one of loopback, which
 * leads nobody here; then, and where only others know the name, they are named the address that they came by.
 */
async function seedAddresses(advertised: Advertised | null): Promise<readonly string[]> {
  if (advertised === null) return [];
  if (isIP(advertised.host) !== 0) return [advertised.host];
  const timer = new AbortController();
  const found = lookup(advertised.host, { all: true }).then(
    (all) => all.map(({ address }) => address).filter((address) => address !== '::1' && !address.startsWith('127.')),
    () => [],
  );
  const nobody = delay(LOOKUP_MS, [], { signal: timer.signal }).catch(() => []);
  return Promise.race([found, nobody]).finally(() => timer.abort());
}

const LOOKUP_MS = 2_000;

/**
 * On the port that was named, or on the first free one of the usual: not where others are told of a port, or where the
 * peers of all ports would be kept in one file.
 */
async function openHttp(
  options: ShareAllOptions,
  advertised: Advertised | null,
  addresses: readonly string[],
): Promise<TrackerServer> {
  const { host, log, httpPort, stateFileOf } = options;
  const { first, last } = DEFAULTS.sharePortRange;
  const isTold = advertised !== null && (advertised.port !== null || advertised.url !== null);
  const isOneFile = typeof stateFileOf?.(first) === 'string' && stateFileOf(first) === stateFileOf(last);
  const isFixed = httpPort !== undefined || isTold || isOneFile;
  for (let port = httpPort ?? first; ; port++) {
    const stateFile = stateFileOf?.(port) ?? null;
    try {
      return await openTracker({
        port,
        registeredOnly: true,
        ...(host === undefined ? {} : { host }),
        ...(log === undefined ? {} : { log }),
        ...options.tracker,
        ...(addresses.length === 0 ? {} : { seedHosts: { addresses, isForAll: advertised?.url !== null } }),
        ...(stateFile === null ? {} : { stateFile }),
      });
    } catch (error) {
      if (isFixed || !(error instanceof HaulError) || error.code !== 'PORT_IN_USE') throw error;
      if (port < last) continue;
      const text = `tracker: all ports ${first} to ${last} are in use; choose one with --http`;
      throw new HaulError('PORT_IN_USE', text, { ...error.facts }, error);
    }
  }
}

function hashOptions({
  exclude,
  webSeeds,
  pieceLengthBytes,
  isPrivate,
  comment,
  createdBy,
  creationDate,
  ...rest
}: ShareOptions) {
  const { threads: count, onProgress, signal: stop } = rest;
  const given = { exclude, webSeeds, pieceLengthBytes, isPrivate, comment, createdBy, creationDate };
  const all = { ...given, threads: count, onProgress, signal: stop };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** The tracker knows the torrent and this seed; each client gets a .torrent that names the address it reached us by. */
function offer(
  { tracker, created, engine: { port }, announceUrl, isAdvertised }: OpenShare,
  extraTiers: readonly (readonly string[])[],
  otherWebSeeds: readonly string[] | null,
): void {
  const { bytes, infoHash, name } = created;
  tracker.register(infoHash, port === null ? {} : { seedPort: port });
  tracker.serveTorrent(`${name}.torrent`, (baseUrl) => {
    const base = isAdvertised ? announceUrl().replace(/\/announce$/, '') : baseUrl.replace(/\/$/, '');
    const webSeeds = otherWebSeeds === null ? null : [webSeedUrl(base, created), ...otherWebSeeds];
    return withTrackers(bytes, [[`${base}/announce`], ...extraTiers.map((tier) => [...tier])], webSeeds);
  });
}

interface OpenShare extends Share {
  readonly isAdvertised: boolean;
}

interface ShareParts extends Pick<Share, 'torrent' | 'engine' | 'tracker' | 'created' | 'close'> {
  readonly host: string | undefined;
  readonly advertised: Advertised | null;
  /** What its link names besides our own. @param isData the data is offered by HTTP */
  readonly magnet: {
    readonly trackers: readonly string[];
    readonly webSeeds: readonly string[];
    readonly isData: boolean;
  };
}

function shareOf({ torrent, engine, tracker, created, host, advertised, close, magnet }: ShareParts): OpenShare {
  let closing: Promise<void> | null = null;
  const closeOnce = (): Promise<void> => {
    closing ??= close();
    return closing;
  };
  const hosts = advertised === null ? (host === undefined ? localAddresses() : [host]) : [advertised.host];
  const base = (name?: string): string =>
    name === undefined && advertised !== null
      ? advertisedUrl(advertised, tracker.port)
      : `http://${hostForUrl(name ?? hosts[0] ?? LOOPBACK)}:${tracker.port}`;
  return {
    torrent,
    engine,
    tracker,
    created,
    hosts,
    isAdvertised: advertised !== null,
    torrentUrl: (name) => `${base(name)}${torrentUrlPath(created.name)}`,
    announceUrl: (name) => `${base(name)}/announce`,
    magnetLink: (name) =>
      formatMagnet({
        infoHash: created.infoHash,
        displayName: created.name,
        trackers: [`${base(name)}/announce`, ...magnet.trackers],
        webSeeds: [...(magnet.isData ? [webSeedUrl(base(name), created)] : []), ...magnet.webSeeds],
        peers: torrent.metainfo.isPrivate ? [] : seedAddress(name ?? hosts[0], engine.port),
      }),
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}

/** Of this seed, for its peers; empty: nobody could reach it. */
function seedAddress(host: string | undefined, port: number | null): Address[] {
  const address = host === undefined || port === null ? null : makeAddress(host, port);
  return address === null || !isDialable(address) ? [] : [address];
}
