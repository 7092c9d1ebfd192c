/**
 * Builds what a torrent needs from outside: storage, resume record, hash check, addresses, trackers. Part of the
 * composition root.
 */
import { lookup } from 'node:dns/promises';
import { statfs } from 'node:fs/promises';
import { isIP } from 'node:net';
import { performance } from 'node:perf_hooks';
import { LIMITS } from '../config.js';
import { recheckFiles } from '../content/recheck.js';
import { AddressBook } from '../discovery/address-book.js';
import { AnnounceGate, urgencyOf } from '../discovery/announce-gate.js';
import { Announcer } from '../discovery/announcer.js';
import { announceHttp } from '../discovery/http-tracker.js';
import { fileSystemOf } from '../native/file-systems.js';
import type { Requests } from '../net/http-client.js';
import type { StorageMemory } from '../storage/memory.js';
import { explainNoSpace } from '../storage/no-space.js';
import { openStorage } from '../storage/open.js';
import { whenRoom } from '../storage/patience.js';
import { claimPlace } from '../storage/places.js';
import type { StorageKind } from '../storage/port.js';
import { loadResume, removePartFile, saveResume } from '../storage/resume.js';
import { stampFiles } from '../storage/stamp-files.js';
import { syncData } from '../storage/sync-data.js';
import type { Services } from '../torrent/services.js';

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
    | 'maxPeersPerAddress'
    | 'restAfterMs'
    | 'takeDial'
    | 'halfOpenDials'
    | 'dial'
    | 'doorTrouble'
    | 'hasConnectionRoom'
    | 'dropUselessElsewhere'
    | 'forgetLink'
    | 'closeHandshakes'
    | 'stir'
    | 'onStopped'
  > {
  readonly storageKind: StorageKind | 'auto';
  readonly memory: StorageMemory;
  /** HTTP connections of the engine. */
  readonly dispatcher: Requests;
  /** What trackers are told (`EngineOptions.announceAs`). */
  readonly announceAs?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
  /** Where this host is (`EngineOptions.zone`). */
  readonly zone?: string | undefined;
}

export function makeServices(options: ServicesOptions): Omit<Services, 'throttles'> {
  const { storageKind, memory, dispatcher, zone, announceAs, ...given } = options;
  const { pool, log, random, peerId } = given;
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
    listenPort: announceAs?.port ?? given.listenPort,
    now: () => performance.now(),
    claimPlace,
    openStorage: (metainfo, output, forWriting, selection) =>
      openStorage({ metainfo, output, pool, kind: storageKind, forWriting, selection, memory }),
    stampFiles,
    loadResume,
    saveResume: (...args) => whenRoom(() => saveResume(...args)),
    removePartFile,
    recheck: async (metainfo, output, recheckOptions) => {
      const stamps = (await hasLastingInodes(output)) ? recheckOptions.stamps : undefined;
      return (await recheckFiles(metainfo, output, pool, { ...recheckOptions, stamps })).good;
    },
    syncData,
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
    explain: explainNoSpace,
    onTrouble: (error) => log('error', error.message, { ...error.facts }),
  };
}

function later(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms).unref();
  return () => clearTimeout(timer);
}

/** False where the file system gives files new numbers at will, or nobody can tell. */
async function hasLastingInodes(output: string): Promise<boolean> {
  const volume = await statfs(output).catch(() => null);
  return volume !== null && fileSystemOf(volume.type).makesUpInodes !== true;
}

async function resolveHost(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}
