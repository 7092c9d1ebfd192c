/**
 * The web seeds of one torrent (BEP 19): which are in use, when one that failed is tried again, which never again.
 * Those that the user named come first, then those that gave most.
 *
 * Where they may lead: to any public address, and into our own network only where the user names that server by
 * protocol, host and port, or a tracker of the torrent is there, which is asked anyway. Who makes a torrent could else
 * have us ask for anything behind our own walls. A redirect leads there only from what the user named.
 */
import type { WebSeedReport } from '../api.js';
import { LIMITS } from '../config.js';
import type { Log } from '../log.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import { FileLayout, type FileSegment } from '../metainfo/layout.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Dispatches } from '../net/http-client.js';
import { isIpLiteral, isLinkLocalAddress } from '../net/private-address.js';
import { type MovedPlace, RangeGet, type RangeSink } from '../net/range-get.js';
import { isTrackerPort, portOf } from '../net/tracker-port.js';
import { shownUrl } from '../net/url.js';
import type { Throttle } from '../peer/throttle.js';
import type { Peer } from '../swarm/peer.js';
import { VERSION } from '../version.js';
import type { Standing, Standings } from './standings.js';
import { fileUrl } from './url.js';
import { WebRemote } from './web-remote.js';

/** Connections of HTTP. */
export interface WebClients {
  /** To wherever. */
  readonly any: Dispatches;
  /** What has a name is neither this machine nor of one link. */
  readonly ofTrackers: Dispatches;
  /** To public addresses of others. */
  readonly publicOnly: Dispatches;
  /** An address that is private, or of this machine. */
  isInside(host: string): boolean;
}

export interface WebSeedsOptions {
  readonly metainfo: Metainfo;
  /** Of the torrent, and of the user. */
  readonly urls: readonly string[];
  readonly named: readonly string[];
  /** Of the torrent. */
  readonly trackers: readonly string[];
  readonly clients: WebClients;
  readonly downloads: Throttle;
  /** Of all sessions of the torrent. */
  readonly standings: Standings;
  readonly now: () => number;
  readonly log: Log;
}

/** What takes them: an exchange. */
export interface WebSeedTaker {
  readonly isComplete: boolean;
  /** Peers of the wire. */
  readonly peerCount: number;
  readonly have: { has(piece: PieceIndex): boolean };
  readonly scheduler: { readonly view: { gaveBytes(slot: number): number } };
  addWebSeed(remote: WebRemote): Peer<WebRemote> | null;
}

interface Source {
  readonly url: URL;
  readonly shown: string;
  /** By the user; and by the torrent. One that nobody names any more is left. */
  isNamed: boolean;
  isOfTorrent: boolean;
  remote: WebRemote | null;
  slot: number;
  /** Of remotes that are gone. */
  pastBytes: number;
  readonly standing: Standing;
  /** Where its files are, for those that moved: a few, the latest. */
  readonly moved: Map<number, MovedPlace>;
}

const MOVED_KEPT = 64;

export class WebSeeds {
  readonly #options: WebSeedsOptions;
  readonly #sources: Source[] = [];
  /** Also of remotes that are gone: what they gave may be found to be bad later. */
  readonly #sourceOf = new WeakMap<WebRemote, Source>();
  /** Origins that the user named, and those of trackers. */
  #named: ReadonlySet<string> = new Set();
  readonly #trackers: ReadonlySet<string>;
  readonly #trackerHosts: ReadonlySet<string>;
  #layout: FileLayout | null = null;
  /** Since when there is no peer; null: nobody has looked. */
  #loneMs: number | null = null;

  constructor(options: WebSeedsOptions) {
    this.#options = options;
    const trackers = options.trackers.filter((url) => URL.canParse(url)).map((url) => new URL(url));
    this.#trackers = new Set(trackers.filter(isOrdinary).map(({ origin }) => origin));
    this.#trackerHosts = new Set(trackers.map(hostOf));
    this.name(options.named);
    for (const url of options.urls) this.#add(url, false);
  }

  /** These are named by the user, and those of before are not: they are left. */
  name(urls: readonly string[]): void {
    const wanted = urls.filter((url) => URL.canParse(url)).map((url) => new URL(url));
    this.#named = new Set(wanted.map(({ origin }) => origin));
    const hrefs = new Set(wanted.map(({ href }) => href));
    for (const source of this.#sources) {
      source.isNamed = hrefs.has(source.url.href);
      if (isLeft(source)) source.remote?.close('is not named any more');
    }
    for (const url of urls) this.#add(url, true);
  }

  #add(url: string, isNamed: boolean): void {
    if (!URL.canParse(url)) return;
    const known = this.#sources.find((source) => source.url.href === new URL(url).href);
    if (known !== undefined) {
      known.isOfTorrent ||= !isNamed;
      return;
    }
    this.#sources.push({
      url: new URL(url),
      shown: shownUrl(url),
      isNamed,
      isOfTorrent: !isNamed,
      remote: null,
      slot: -1,
      pastBytes: 0,
      standing: this.#options.standings.of(url),
      moved: new Map(),
    });
  }

  get count(): number {
    return this.#sources.length;
  }

  /** Those whose time has come are used, as many as may be. */
  use(taker: WebSeedTaker): void {
    if (taker.isComplete || this.#sources.length === 0) return;
    const nowMs = this.#options.now();
    if (taker.peerCount > 0) this.#loneMs = nowMs;
    else this.#loneMs ??= nowMs;
    const inUse = this.#sources.filter(({ remote }) => remote !== null).length;
    const due = this.#sources
      .filter((source) => source.remote === null && !isLeft(source) && source.standing.dueMs <= nowMs)
      .filter((source) => this.#isWanted(source, nowMs));
    due.sort((a, b) => Number(b.isNamed) - Number(a.isNamed) || b.pastBytes - a.pastBytes);
    for (const source of due.slice(0, LIMITS.webSeeds - inUse)) this.#open(source, taker);
  }

  /** Where the trackers are a seed most likely is: its peers spread what it gives, its web server does not. */
  #isWanted({ isNamed, url }: Source, nowMs: number): boolean {
    return isNamed || !this.#trackerHosts.has(hostOf(url)) || nowMs - this.#loneMs! >= LIMITS.ownWebSeedMs;
  }

  /**
   * The remote has left its exchange.
   * @param gaveBytes while it was there
   * @param isOurDoing the session ends, or all is here: that says nothing of the server
   */
  gone(remote: WebRemote, gaveBytes: number, isOurDoing = false): void {
    const source = this.#sources.find((each) => each.remote === remote);
    if (source === undefined) return;
    source.remote = null;
    source.pastBytes += gaveBytes;
    const { moved, standing, shown } = source;
    const { failure, hasGiven, closeReason } = remote;
    if (standing.isBanned || isLeft(source) || (isOurDoing && failure === null)) return;
    if (remote.isStale) {
      standing.asksForParts();
      return;
    }
    const reason = failure?.reason ?? closeReason;
    // A place to which a file had moved may be good for a while only, as signed URLs are.
    const hasMoved = failure !== null && moved.size > 0;
    if (hasMoved) moved.clear();
    if (standing.failed(failure, hasGiven, hasMoved, reason, this.#options.now())) this.#tellBan(source, reason);
    const { dueMs } = standing;
    if (failure !== null) this.#options.log('debug', `web seed ${shown}: ${failure.reason}`, { url: shown, dueMs });
  }

  /** It gave bad data: nothing of it is taken for this torrent any more. */
  ban(remote: WebRemote, reason: string): void {
    const source = this.#sourceOf.get(remote);
    if (source === undefined || source.standing.isBanned) return;
    source.standing.ban(reason);
    this.#tellBan(source, reason);
    if (source.remote !== remote) source.remote?.close(reason);
  }

  /** @param taker null: nothing is exchanged */
  reports(taker: WebSeedTaker | null): WebSeedReport[] {
    const nowMs = this.#options.now();
    const named = this.#sources.filter((source) => !isLeft(source));
    return named.map((source) => ({
      url: source.shown,
      state: stateOf(source, nowMs),
      message: source.standing.message,
      downloadedBytes: bytesOf(source, taker),
    }));
  }

  /** Payload of all of them. */
  downloadedBytes(taker: WebSeedTaker | null): number {
    return this.#sources.reduce((sum, source) => sum + bytesOf(source, taker), 0);
  }

  #tellBan({ shown: url }: Source, reason: string): void {
    this.#options.log('warn', `web seed ${url} is not used any more: ${reason}`, {
      code: 'WEB_SEED_BANNED',
      url,
      reason,
    });
  }

  #open(source: Source, taker: WebSeedTaker): void {
    const { metainfo, downloads, now } = this.#options;
    const { wholeSinceMs } = source.standing;
    this.#layout ??= new FileLayout(metainfo);
    const remote = new WebRemote({
      host: source.url.hostname,
      address: source.shown,
      geometry: metainfo.geometry,
      layout: this.#layout,
      downloads,
      now,
      wholeUntilMs: wholeSinceMs === null ? null : wholeSinceMs + LIMITS.webSeedRetryMaxMs,
      has: (piece) => taker.have.has(piece),
      open: (segment, sink) => this.#request(source, segment, sink),
      onMoved: ({ file }, place) => {
        if (source.moved.size >= MOVED_KEPT) source.moved.clear();
        source.moved.set(file, place);
      },
    });
    const peer = taker.addWebSeed(remote);
    if (peer === null) return;
    source.remote = remote;
    source.standing.message = '';
    this.#sourceOf.set(remote, source);
    source.slot = peer.slot;
    remote.joined(peer);
  }

  #request(source: Source, { file, beginBytes, lengthBytes }: FileSegment, sink: RangeSink): RangeGet {
    const { metainfo } = this.#options;
    const entry = metainfo.files[file]!;
    const { url, from } = source.moved.get(file) ?? { url: fileUrl(source.url, metainfo, entry), from: null };
    const options = {
      url,
      from,
      begin: beginBytes,
      end: beginBytes + lengthBytes,
      fileBytes: entry.lengthBytes,
      isWhole: source.standing.isWhole,
      userAgent: `Swarmhaul/${VERSION}`,
      redirectsMax: LIMITS.webSeedRedirects,
      timeoutMs: LIMITS.webSeedTimeoutMs,
      connectionsFor: (url: URL, from: URL | null) => this.#connectionsFor(url, from),
    };
    return new RangeGet(options, sink);
  }

  #connectionsFor(url: URL, from: URL | null): Dispatches | string {
    const { clients } = this.#options;
    const host = hostOf(url);
    if (this.#isNamed(url, from)) return clients.any;
    const port = portOf(url);
    if (!isTrackerPort(port)) return `port ${port} is none of the web, and only the user may name it`;
    const isLiteral = isIpLiteral(host) || host === 'localhost';
    if (from === null && this.#trackers.has(url.origin)) return isLiteral ? clients.any : clients.ofTrackers;
    if (isLiteral && clients.isInside(host))
      return `${host} is of a private network, which only the user or a tracker of the torrent may name`;
    return clients.publicOnly;
  }

  /** By the user; from there it may lead to other ports of that host, and to what else the user named. */
  #isNamed(url: URL, from: URL | null): boolean {
    if (from === null) return this.#named.has(url.origin);
    if (!this.#named.has(from.origin)) return false;
    return this.#named.has(url.origin) || (hostOf(from) === hostOf(url) && isTrackerPort(portOf(url)));
  }
}

function isLeft({ isNamed, isOfTorrent }: Source): boolean {
  return !isNamed && !isOfTorrent;
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

/** A torrent that names a link-local address for its tracker gets nobody there: that is where clouds keep secrets. */
function isOrdinary(url: URL): boolean {
  return !isLinkLocalAddress(hostOf(url)) && url.origin !== 'null';
}

function stateOf({ remote, standing }: Source, nowMs: number): WebSeedReport['state'] {
  const { isBanned, dueMs, message } = standing;
  if (isBanned) return 'banned';
  if (remote !== null) return 'in-use';
  return dueMs > nowMs && message !== '' ? 'failing' : 'waiting';
}

function bytesOf({ remote, slot, pastBytes }: Source, taker: WebSeedTaker | null): number {
  return pastBytes + (remote === null || taker === null ? 0 : taker.scheduler.view.gaveBytes(slot));
}
