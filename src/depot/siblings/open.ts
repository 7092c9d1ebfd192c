/** Depots of one store give each other what they have: both sides of it, for a depot that shares its store. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../../log.js';
import type { Catalogue } from '../catalogue/port.js';
import type { BlobStore, StoreElsewhere } from '../store/port.js';
import { NONCE_DIGITS, Proofs } from './proofs.js';
import { Siblings } from './siblings.js';

export interface OpenSiblings {
  readonly siblings: Siblings;
  /** For the routes by which the others ask us. */
  readonly id: string;
  readonly proofs: Proofs;
  readonly give: StoreElsewhere['give'];
  /** One of them has looked for us. */
  readonly greeted: () => void;
}

interface Parts {
  readonly store: Pick<BlobStore, 'elsewhere'>;
  readonly catalogue: Pick<Catalogue, 'isShared'>;
  readonly secret: Uint8Array;
  readonly urls: readonly string[];
  readonly log?: Log | undefined;
}

/** Null: this depot is the only one of its store. */
export function openSiblings({ store, catalogue, secret, urls, log }: Parts): OpenSiblings | null {
  const { elsewhere } = store;
  if (elsewhere === undefined || !catalogue.isShared) return null;
  // Another one at each start: what a depot had in its cache is gone with it.
  const id = randomBytes(NONCE_DIGITS / 2).toString('hex');
  const proofs = new Proofs(secret, elsewhere.id);
  const siblings = new Siblings({ urls, id, proofs, now: () => performance.now(), log });
  elsewhere.asksFirst(siblings);
  const give: StoreElsewhere['give'] = (part, mayFetch) => elsewhere.give(part, mayFetch);
  return { siblings, id, proofs, give, greeted: () => siblings.hurry() };
}
