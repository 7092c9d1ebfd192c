/** Whether a depot can serve, by what it stands on. */
import { access, constants } from 'node:fs/promises';
import type { Engine } from '../api.js';
import { HaulError } from '../errors.js';
import type { SharingState } from '../tracker/shared/sharing.js';
import type { Catalogue } from './catalogue/port.js';
import type { Check } from './http/inside.js';
import { DEPOT_LIMITS } from './limits.js';
import type { BlobStore } from './store/port.js';
import { spaceOf } from './store/room.js';

interface Parts {
  /** Folder of the depot. */
  readonly data: string;
  readonly store: Pick<BlobStore, 'space' | 'elsewhere'>;
  readonly catalogue: Pick<Catalogue, 'counts' | 'isShared'>;
  readonly engine: Pick<Engine, 'stats'>;
  /** Null: the tracker is on its own. */
  readonly peers: { readonly state: Pick<SharingState, 'trouble'> } | null;
  /** Null: it is the only one of its store. */
  readonly siblings: { readonly siblings: { readonly count: number; readonly missing: number } } | null;
  /** It was told to stop: whoever shares out requests is to go elsewhere. */
  readonly isStopping: boolean;
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

async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    const message = await look();
    return { name, isReady: message === '', message };
  } catch {
    return { name, isReady: false, message: 'it does not answer as it should' };
  }
}

/** '', or what is wrong with the disk below the folder: also what a kernel makes of an ailing one, read-only. */
export async function diskText(data: string, space: { readonly freeBytes: number } | null): Promise<string> {
  if (space !== null && space.freeBytes < DEPOT_LIMITS.freeBytes) return 'the disk is full';
  const error = await access(data, constants.W_OK).then(
    () => null,
    (failed: NodeJS.ErrnoException) => failed,
  );
  return error?.code === 'EROFS' ? 'the disk is read-only' : '';
}

export function readinessOf(parts: Parts): Promise<readonly Check[]> {
  const { data, store, catalogue, engine, peers, siblings, isStopping } = parts;
  return Promise.all([
    check(store.elsewhere === undefined ? 'store' : `store ${store.elsewhere.kind}`, async () => {
      if (store.elsewhere === undefined) return diskText(data, await store.space());
      // What comes from there goes by a cache in the folder.
      return (await store.elsewhere.ready()) || diskText(data, await spaceOf(data));
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
