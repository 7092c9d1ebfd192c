/** Whether a depot can serve, by what it stands on. */
import type { Engine } from '../api.js';
import { HaulError } from '../errors.js';
import type { Log } from '../log.js';
import type { SharingState } from '../tracker/shared/sharing.js';
import type { Catalogue } from './catalogue/port.js';
import type { DiskProbe } from './disk-probe.js';
import type { Check } from './http/inside.js';
import { DEPOT_LIMITS } from './limits.js';
import type { BlobStore } from './store/port.js';
import { spaceOf } from './store/room.js';

interface Parts {
  /** Folder of the depot. */
  readonly data: string;
  /** In it. */
  readonly probe: DiskProbe;
  readonly store: Pick<BlobStore, 'space' | 'elsewhere'>;
  readonly catalogue: Pick<Catalogue, 'counts' | 'isShared'>;
  readonly engine: Pick<Engine, 'stats'>;
  /** Null: the tracker is on its own. */
  readonly peers: { readonly state: Pick<SharingState, 'trouble'> } | null;
  /** Null: it is the only one of its store. */
  readonly siblings: { readonly siblings: { readonly count: number; readonly missing: number } } | null;
  /** It was told to stop: whoever shares out requests is to go elsewhere. */
  readonly isStopping: boolean;
  /** For the operator alone: what was thrown, or null where nothing was. */
  readonly onLook: (name: string, error: unknown) => void;
}

/** Who asks whether we are ready does not wait as long as a request does. */
const LATE_MS = 2_000;
const UNREACHED = 'PostgreSQL cannot be reached, or does not answer in time';

function late(): Promise<string> {
  return new Promise((resolve) => setTimeout(resolve, LATE_MS, UNREACHED).unref());
}

function troubleText(error: unknown): string {
  if (HaulError.is(error) && error.code === 'NETWORK') return UNREACHED;
  throw error;
}

async function look(name: string, ask: () => Promise<string>, onLook: Parts['onLook']): Promise<Check> {
  try {
    const message = await ask();
    onLook(name, null);
    return { name, isReady: message === '', message };
  } catch (error) {
    onLook(name, error);
    return { name, isReady: false, message: 'it does not answer as it should: the log of the depot says why' };
  }
}

/** '', or what is wrong with the disk: also what a kernel makes of an ailing one, read-only. */
export async function diskText(probe: DiskProbe, space: { readonly freeBytes: number } | null): Promise<string> {
  if (space !== null && space.freeBytes < DEPOT_LIMITS.freeBytes) return 'the disk is full';
  return probe.look();
}

/** Tells a trouble once, however often somebody looks. */
export function tellOnce(log: Log = () => {}): Parts['onLook'] {
  const told = new Map<string, string>();
  return (name, error) => {
    const message = error === null ? '' : error instanceof Error ? error.message : String(error);
    if (message !== '' && told.get(name) !== message) log('error', `not ready: ${name}: ${message}`);
    told.set(name, message);
  };
}

export function readinessOf(parts: Parts): Promise<readonly Check[]> {
  const { data, probe, store, catalogue, engine, peers, siblings, isStopping, onLook } = parts;
  const check = (name: string, ask: () => Promise<string>): Promise<Check> => look(name, ask, onLook);
  return Promise.all([
    check(store.elsewhere === undefined ? 'store' : `store ${store.elsewhere.kind}`, async () => {
      if (store.elsewhere === undefined) return diskText(probe, await store.space());
      // What comes from there goes by a cache in the folder.
      return (await store.elsewhere.ready()) || diskText(probe, await spaceOf(data));
    }),
    check('catalogue', async () => {
      const asked = catalogue.counts().then(
        () => '',
        (error: unknown) => troubleText(error),
      );
      return catalogue.isShared ? await Promise.race([asked, late()]) : await asked;
    }),
    check('engine', async () => {
      engine.stats();
      return '';
    }),
    ...(peers === null ? [] : [sharedPeers(peers.state)]),
    ...(siblings === null ? [] : [otherDepots(siblings.siblings)]),
    ...(isStopping ? [{ name: 'depot', isReady: false, message: 'it is being stopped' }] : []),
  ]);
}

/** Without the others a depot serves as it would alone: to be sent no requests would make it worse. */
function sharedPeers({ trouble }: Pick<SharingState, 'trouble'>): Check {
  const message = trouble === null ? '' : `redis: ${trouble}; only peers that announce here are named`;
  return { name: 'peers', isReady: true, message };
}

/** All is in the store, so nothing is lacking but speed. */
function otherDepots({ count, missing }: { readonly count: number; readonly missing: number }): Check {
  const message = missing === 0 ? '' : `${count} other depots are there, ${missing} addresses lead to none of them`;
  return { name: 'depots', isReady: true, message };
}
