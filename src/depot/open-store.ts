/** The store of a depot: in its folder, unless an option names another place, which is loaded only then. */
import { join } from 'node:path';
import { HaulError } from '../errors.js';
import { holdFolder } from './held-folder.js';
import { isThere } from './is-there.js';
import { openFolderStore } from './store/folders.js';
import type { BlobStore } from './store/port.js';

/** Of what is read once, from its begin to its end. */
const READ_CACHE_BYTES = 512 * 1024 * 1024;

export interface StoreOptions {
  /** Folder of the depot. */
  readonly data: string;
  /** "s3://bucket/prefix?endpoint=URL"; default: in the folder. */
  readonly store?: string | undefined;
  readonly storeCacheBytes?: number | undefined;
  /** Of a catalogue that depots share, or none. */
  readonly catalogue?: string | undefined;
  /** Nothing that is kept is changed. */
  readonly isReadOnly?: boolean;
  /** Of a store that several depots can reach: it is this one's from now on. */
  readonly takesOver?: boolean;
}

/** @throws HaulError as `openFolderStore` and `openS3Store`; BAD_ARGUMENT: the folder is of the other kind */
export async function openStoreOf(options: StoreOptions): Promise<BlobStore> {
  const { data, store, storeCacheBytes, catalogue, isReadOnly = false, takesOver = false } = options;
  if (store === undefined) {
    if (isOfOther(data)) throw other(`the blobs of the depot in ${data} are in another store; name it with --store`);
    return openFolderStore({ folder: data, isReadOnly });
  }
  if (hasBlobs(data))
    throw other(`the depot in ${data} keeps its blobs in that folder; choose another one for a store elsewhere`);
  if (!/^s3:/i.test(store)) throw other('a store is s3://BUCKET/PREFIX');
  const { openS3Store } = await import('./store/s3/open.js');
  const cache = storeCacheBytes === undefined ? {} : { cacheBytes: storeCacheBytes };
  const owner = catalogue === undefined ? {} : { isShared: true };
  return openS3Store({ url: store, data, isReadOnly, takesOver, ...cache, ...owner });
}

/**
 * One that is only read, while its depot may run.
 * @param place folder of a depot, or "s3://bucket/prefix"
 * @throws HaulError as `openStoreOf`; NOT_FOUND
 */
export async function openStoreToRead(place: string): Promise<BlobStore> {
  if (!/^s3:/i.test(place)) return openFolderStore({ folder: place, isReadOnly: true, isBeside: true });
  const { openS3Store } = await import('./store/s3/open.js');
  const { path: data, remove } = await holdFolder('haul-cache-');
  try {
    const store = await openS3Store({ url: place, data, isReadOnly: true, cacheBytes: READ_CACHE_BYTES });
    const close = store.close.bind(store);
    return Object.assign(store, { close: () => close().finally(remove) });
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Whether there is a depot at all. */
export function isDepot(data: string): boolean {
  return hasBlobs(data) || isOfOther(data);
}

function hasBlobs(data: string): boolean {
  return isThere(join(data, 'depot.json'));
}

function isOfOther(data: string): boolean {
  return !hasBlobs(data) && isThere(join(data, 'cache', 'depot.json'));
}

function other(message: string): HaulError {
  return new HaulError('BAD_ARGUMENT', message, { option: 'store' });
}
