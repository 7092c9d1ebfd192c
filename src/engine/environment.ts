/** The surroundings of the torrents of an engine: addresses, trackers, names of hosts. Part of the composition root. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { performance } from 'node:perf_hooks';
import { LIMITS } from '../config.js';
import { AddressBook } from '../discovery/address-book.js';
import { AnnounceGate, urgencyOf } from '../discovery/announce-gate.js';
import { Announcer } from '../discovery/announcer.js';
import { announceHttp } from '../discovery/http-tracker.js';
import type { Requests } from '../net/http-client.js';
import type { Environment } from '../torrent/environment.js';
import { type WebClients, WebSeeds } from '../webseed/web-seeds.js';

/** All but the throttles, which each torrent has of its own. */
export type SharedEnvironment = Omit<Environment, 'throttles'>;

type Made = 'now' | 'makeAddresses' | 'resolveHost' | 'makeAnnounces' | 'makeWebSeeds' | 'onTrouble';

export interface EnvironmentOptions extends Omit<SharedEnvironment, Made> {
  /** HTTP connections of the engine. */
  readonly dispatcher: Requests;
  /** The same for web seeds. */
  readonly webClients: WebClients;
  /** What trackers are told (`EngineOptions.announceAs`). */
  readonly announceAs?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
  /** Where this host is (`EngineOptions.zone`). */
  readonly zone?: string | undefined;
}

export function makeEnvironment(options: EnvironmentOptions): SharedEnvironment {
  const { dispatcher, webClients, zone, announceAs, ...given } = options;
  const { log, random, peerId } = given;
  const gate = new AnnounceGate({
    atOnce: LIMITS.announcesAtOnce,
    perHost: LIMITS.announcesPerHost,
    unanswered: LIMITS.announcesUnanswered,
    keptForUrgent: LIMITS.announcesKeptForUrgent,
    placeMs: LIMITS.announcePlaceMs,
    later,
  });
  return {
    ...given,
    now: () => performance.now(),
    makeAddresses: () => new AddressBook({ random }),
    resolveHost,
    makeAnnounces: (metainfo, trackers, owner) =>
      new Announcer({
        trackers,
        infoHash: metainfo.infoHash,
        peerId,
        key: Math.floor(random() * 2 ** 32),
        ...(zone === undefined ? {} : { zone }),
        ...(announceAs === undefined ? {} : { announceAs }),
        announce: (url, request, signal, onSending) =>
          gate.run(url, urgencyOf(request), signal, () => {
            onSending();
            return announceHttp(url, request, { signal, dispatcher, random });
          }),
        random,
        now: () => performance.now(),
        onPeers: (addresses) => owner.onPeers(addresses),
        onOutcome: (url, outcome, message) => owner.onOutcome(url, outcome, message),
      }),
    makeWebSeeds: (metainfo, named, { downloads }) =>
      new WebSeeds({
        metainfo,
        urls: metainfo.webSeeds,
        named,
        trackers: metainfo.trackers.flat(),
        clients: webClients,
        downloads,
        now: () => performance.now(),
        log,
      }),
    onTrouble: (error) => log('error', error.message, { ...error.facts }),
  };
}

function later(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms).unref();
  return () => clearTimeout(timer);
}

async function resolveHost(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}
