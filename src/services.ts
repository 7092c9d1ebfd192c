/** Builds what a torrent needs from outside: storage, resume record, hash check, addresses, trackers. Part of the composition root. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Agent } from 'undici';
import { AddressBook } from './discovery/address-book.js';
import { Announcer } from './discovery/announcer.js';
import { announceHttp } from './discovery/http-tracker.js';
import { openStorage } from './storage/open.js';
import type { StorageKind } from './storage/port.js';
import { loadResume, saveResume } from './storage/resume.js';
import { recheckFiles } from './torrent/recheck.js';
import type { Services } from './torrent/services.js';

export interface ServicesOptions
  extends Pick<
    Services,
    | 'pool'
    | 'log'
    | 'random'
    | 'peerId'
    | 'listenPort'
    | 'uploadSlots'
    | 'maxPeers'
    | 'takeDial'
    | 'dial'
    | 'forgetLink'
    | 'closeHandshakes'
    | 'onStopped'
  > {
  readonly storageKind: StorageKind | 'auto';
  /** HTTP connections of the engine. */
  readonly dispatcher: Agent;
}

export function makeServices(options: ServicesOptions): Services {
  const { storageKind, dispatcher, ...given } = options;
  const { pool, log, random, peerId } = given;
  return {
    ...given,
    now: () => performance.now(),
    openStorage: (metainfo, output) => openStorage({ metainfo, output, pool, kind: storageKind }),
    loadResume,
    saveResume,
    recheck: async (metainfo, output, recheckOptions) =>
      (await recheckFiles(metainfo, output, pool, recheckOptions)).good,
    makeAddresses: () => new AddressBook({ random }),
    resolveHost,
    makeAnnounces: (metainfo, trackers, owner) =>
      new Announcer({
        trackers,
        infoHash: metainfo.infoHash,
        peerId,
        key: Math.floor(random() * 2 ** 32),
        announce: (url, request, signal) => announceHttp(url, request, { signal, dispatcher }),
        random,
        onPeers: (addresses) => owner.onPeers(addresses),
        onOutcome: (url, outcome, message) => owner.onOutcome(url, outcome, message),
      }),
    onTrouble: (error) => log('error', error.message, { ...error.facts }),
  };
}

async function resolveHost(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}
