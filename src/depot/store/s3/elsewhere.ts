/** What a store on S3 is to the depots that share it. */
import type { StoreElsewhere } from '../port.js';
import { bindPrefix } from './claim.js';
import type { Objects } from './objects.js';
import type { BlobReader } from './reader.js';
import type { RemoteBlobs } from './remote.js';

interface Parts {
  readonly objects: Objects;
  readonly remote: RemoteBlobs;
  readonly reader: BlobReader;
  /** Of the store. */
  readonly id: string;
}

export function elsewhereOf({ objects, remote, reader, id }: Parts, ready: () => Promise<string>): StoreElsewhere {
  return {
    kind: 's3',
    id,
    ready,
    bind: (catalogue) => bindPrefix(objects, catalogue),
    asksFirst: (others) => remote.asksFirst(others),
    give: (part, mayFetch) => reader.give(part, mayFetch),
    get traffic() {
      const { fromStore, fromDepots } = remote;
      return { fromStore, fromDepots, toDepots: reader.toDepots };
    },
  };
}
