/** Whether a depot can serve, by what it stands on. */
import type { Engine } from '../api.js';
import type { Catalogue } from './catalogue/port.js';
import type { Check } from './http/inside.js';
import { DEPOT_LIMITS } from './limits.js';
import type { BlobStore } from './store/port.js';

interface Parts {
  readonly store: Pick<BlobStore, 'space'>;
  readonly catalogue: Pick<Catalogue, 'counts'>;
  readonly engine: Pick<Engine, 'stats'>;
}

async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    const message = await look();
    return { name, isReady: message === '', message };
  } catch {
    return { name, isReady: false, message: 'it does not answer as it should' };
  }
}

export function readinessOf({ store, catalogue, engine }: Parts): Promise<readonly Check[]> {
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
  ]);
}
