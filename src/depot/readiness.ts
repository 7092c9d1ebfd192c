/** Whether a depot can serve, by what it stands on. */
import type { Engine } from '../api.js';
import type { SharingState } from '../tracker/shared/sharing.js';
import type { Catalogue } from './catalogue/port.js';
import type { Check } from './http/inside.js';
import { DEPOT_LIMITS } from './limits.js';
import type { BlobStore } from './store/port.js';

interface Parts {
  readonly store: Pick<BlobStore, 'space'>;
  readonly catalogue: Pick<Catalogue, 'counts'>;
  readonly engine: Pick<Engine, 'stats'>;
  /** Null: the tracker is on its own. */
  readonly peers: { readonly state: Pick<SharingState, 'trouble'> } | null;
}

async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    const message = await look();
    return { name, isReady: message === '', message };
  } catch {
    return { name, isReady: false, message: 'it does not answer as it should' };
  }
}

export function readinessOf({ store, catalogue, engine, peers }: Parts): Promise<readonly Check[]> {
  return Promise.all([
    check('store', async () => {
      const space = await store.space();
      return space !== null && space.freeBytes < DEPOT_LIMITS.freeBytes ? 'the disk is full' : '';
    }),
    check('catalogue', async () => {
      await catalogue.counts();
      return '';
    }),
    check('engine', async () => {
      engine.stats();
      return '';
    }),
    ...(peers === null ? [] : [sharedPeers(peers.state)]),
  ]);
}

/** Without the others a depot serves as it would alone: to be sent no requests would make it worse. */
function sharedPeers({ trouble }: Pick<SharingState, 'trouble'>): Check {
  const message = trouble === null ? '' : `redis: ${trouble}; only peers that announce here are named`;
  return { name: 'peers', isReady: true, message };
}
