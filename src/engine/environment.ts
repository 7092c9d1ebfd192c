/** The surroundings of the torrents of an engine: addresses, trackers, names of hosts. Part of the composition root. */
import { lookup } from 'node:dns/promises';
import { performance } from 'node:perf_hooks';
import { LIMITS } from '../config.js';
import { DhtSource } from '../dht/dht-source.js';
import { AddressBook } from '../discovery/address-book.js';
import { AnnounceGate, urgencyOf } from '../discovery/announce-gate.js';
import { Announcer, type AnnouncerOptions } from '../discovery/announcer.js';
import type { Trackers } from '../discovery/trackers.js';
import { LsdSource } from '../lsd/lsd-source.js';
import { HostLookups } from '../net/host-lookups.js';
import { OwnNetworks } from '../net/own-addresses.js';
import { OwnEndpoint } from '../net/own-endpoint.js';
import type { Own } from '../net/own-host.js';
import type { AnnounceOwner, Environment } from '../torrent/environment.js';
import { type WebClients, WebSeeds } from '../webseed/web-seeds.js';
import type { Outside, Reached } from './outside.js';

/** All but the throttles, which each torrent has of its own. */
export type SharedEnvironment = Omit<Environment, 'throttles'>;

type Made =
  | 'now'
  | 'listenPort'
  | 'mappingTrouble'
  | 'dhtNodes'
  | 'dht'
  | 'usesLsd'
  | 'own'
  | 'makeAddresses'
  | 'resolveHost'
  | 'makeAnnounces'
  | 'makeSources'
  | 'makeWebSeeds'
  | 'onTrouble';

export interface EnvironmentOptions extends Omit<SharedEnvironment, Made> {
  /** Those of the engine, by which all torrents announce. */
  readonly trackers: Trackers;
  /** HTTP connections to web seeds. */
  readonly webClients: WebClients;
  /** The DHT and the local network; and what others are told of us, which may change at any time. */
  readonly outside: Reached & Pick<Outside, 'dht' | 'lsd'>;
  /** Those of its addresses that are used (`EngineOptions.host`). */
  readonly ownHost: Own;
  /** Where this host is (`EngineOptions.zone`). */
  readonly zone?: string | undefined;
}

export function makeEnvironment(options: EnvironmentOptions): SharedEnvironment {
  const { trackers, webClients, zone, outside, ownHost, ...given } = options;
  const { dht, lsd } = outside;
  const { log, random, peerId } = given;
  const gate = makeGate();
  const names = makeLookups();
  const now = (): number => performance.now();
  const own = makeOwnEndpoint(outside, ownHost, now);
  const announces: SharedAnnounces = {
    peerId,
    ...(zone === undefined ? {} : { zone }),
    get announceAs() {
      return outside.announceAs;
    },
    announce: (url, request, signal, onSending) =>
      gate.run(url, urgencyOf(request), signal, () => {
        onSending();
        return trackers.announce(url, request, signal);
      }),
    random,
    now,
  };
  return {
    ...given,
    get listenPort() {
      return outside.port;
    },
    get mappingTrouble() {
      return outside.mappingTrouble;
    },
    now,
    get dhtNodes() {
      return dht?.stats().nodes ?? null;
    },
    usesLsd: lsd !== null,
    dht,
    own,
    makeAddresses: () => new AddressBook({ random, order: own }),
    resolveHost: (host, isAgain) => names.resolve(host, isAgain),
    makeAnnounces: (torrent, tiers, owner) => new Announcer(ownAnnounces(announces, tiers, torrent.infoHash, owner)),
    makeSources: ({ infoHash, name, isPrivate }, owners) => {
      if (isPrivate) return [];
      const network = { infoHash, now, random, owner: owners.ownerOf('lsd') };
      const near = lsd === null ? [] : [new LsdSource({ ...network, network: lsd })];
      if (dht === null) return near;
      const onFound = ({ nodes, peers }: { nodes: number; peers: number }): void =>
        log('info', `${name}: DHT: ${peers} peers, announced to ${nodes} nodes`);
      const [search, watch] = [dht.search.bind(dht), dht.watch.bind(dht)];
      return [...near, new DhtSource({ infoHash, owner: owners.ownerOf('dht'), now, onFound, search, watch })];
    },
    makeWebSeeds: (metainfo, named, standings, { downloads }) =>
      new WebSeeds({
        metainfo,
        urls: metainfo.webSeeds,
        named,
        trackers: metainfo.trackers.flat(),
        clients: webClients,
        downloads,
        standings,
        now,
        log,
      }),
    onTrouble: (error) => log('error', error.message, { ...error.facts }),
  };
}

function makeGate(): AnnounceGate {
  return new AnnounceGate({
    atOnce: LIMITS.announcesAtOnce,
    perHost: LIMITS.announcesPerHost,
    unanswered: LIMITS.announcesUnanswered,
    keptForUrgent: LIMITS.announcesKeptForUrgent,
    placeMs: LIMITS.announcePlaceMs,
    later,
  });
}

function makeOwnEndpoint(outside: Reached, ownHost: Own, now: () => number): OwnEndpoint {
  const networks = new OwnNetworks(now);
  return new OwnEndpoint({
    port: () => outside.port,
    outside: () => outside.announceAs?.host ?? null,
    towards: (host) => ownHost().from(host) ?? networks.towards(host),
  });
}

type SharedAnnounces = Omit<AnnouncerOptions, 'trackers' | 'infoHash' | 'key' | 'onPeers' | 'onOutcome'>;

/** What all torrents share is there once. */
function ownAnnounces(
  shared: SharedAnnounces,
  trackers: AnnouncerOptions['trackers'],
  infoHash: Buffer,
  owner: AnnounceOwner,
): AnnouncerOptions {
  const own = {
    trackers,
    infoHash,
    key: Math.floor(shared.random() * 2 ** 32),
    onPeers: (addresses) => owner.onPeers(addresses),
    onOutcome: (url, outcome, message) => owner.onOutcome(url, outcome, message),
  } satisfies Partial<AnnouncerOptions>;
  return Object.assign(Object.create(shared) as SharedAnnounces, own);
}

function later(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms).unref();
  return () => clearTimeout(timer);
}

function makeLookups(): HostLookups {
  const { nameLookupsAtOnce: atOnce, nameLookupsWaiting: waiting, nameLookupMs: timeoutMs } = LIMITS;
  return new HostLookups({ lookUp, atOnce, waiting, timeoutMs, later });
}

async function lookUp(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
