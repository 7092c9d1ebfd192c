/** Opens a store on S3, with a cache in a folder of the depot. */
import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError, HaulError } from '../../../errors.js';
import { replaceFile } from '../../replace-file.js';
import { openFolderStore } from '../folders.js';
import { CacheRoom } from './cache-room.js';
import { Chunks } from './chunks.js';
import { claimPrefix, SHARED, sweepUploads } from './claim.js';
import { S3_LIMITS } from './limits.js';
import { Objects } from './objects.js';
import { parseS3Url } from './place.js';
import { RemoteBlobs } from './remote.js';
import { loadSdk, type Times } from './sdk.js';
import { S3Store } from './store.js';
import { UploadJournal } from './upload-journal.js';

export interface S3StoreOptions {
  /** As `parseS3Url` takes it. */
  readonly url: string;
  /** Folder of the depot; its id and the cache are in it. */
  readonly data: string;
  /** Bytes; default 16 GiB. */
  readonly cacheBytes?: number;
  readonly isReadOnly?: boolean;
  readonly takesOver?: boolean;
  /** Depots share a catalogue, and `elsewhere.bind` says which. Default: it is this depot's own. */
  readonly isShared?: boolean;
  readonly times?: Partial<Times>;
}

const ID = /^[0-9a-f]{16}$/;

/**
 * @throws HaulError BAD_ARGUMENT (the URL, the package, the bucket), NO_PERMISSION (keys), NETWORK, IN_USE (another
 * depot has the prefix, or another process the folder), and what the file system says
 */
export async function openS3Store(options: S3StoreOptions): Promise<S3Store> {
  const { url, data, isReadOnly = false, takesOver = false, cacheBytes = S3_LIMITS.cacheBytes } = options;
  const place = parseS3Url(url);
  if (cacheBytes < S3_LIMITS.cacheBytesMin) {
    const message = `the cache of a store on S3 holds ${S3_LIMITS.cacheBytesMin / 2 ** 20} MiB at least`;
    throw new HaulError('BAD_ARGUMENT', message, { option: 'store-cache' });
  }
  const sdk = await loadSdk();
  const times: Times = { ...S3_LIMITS, ...options.times };
  const folder = join(data, 'cache');
  const objects = new Objects(sdk, place, times);
  const closers: (() => unknown)[] = [() => objects.close()];
  try {
    const cache = await openCache(folder);
    closers.unshift(() => cache.close());
    const owner = options.isShared === true ? SHARED : await idOf(data);
    const id = await claimPrefix(objects, { owner, isReadOnly, takesOver });
    const journal = await UploadJournal.open(join(folder, 'multiparts'));
    if (!isReadOnly) await sweepUploads(objects, journal, Date.now());
    const room: CacheRoom = new CacheRoom(cacheBytes, () => cache.uploadBytes);
    const chunks = new Chunks(join(folder, 'chunks'), room);
    await chunks.prepare();
    const remote = new RemoteBlobs(objects, times);
    const now = () => performance.now();
    const store = new S3Store({ objects, remote, cache, room, chunks, journal, id, isReadOnly, now });
    await store.count();
    return store;
  } catch (error) {
    for (const close of closers) await close();
    throw error;
  }
}

/**
 * Nothing in it is forced to the device: after a crash of the machine a file may hold anything, so what an earlier boot
 * left is not used.
 */
async function openCache(folder: string) {
  const place = join(folder, 'boot');
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => null);
  const before = await readFile(place, 'latin1').catch(() => null);
  const cache = await openFolderStore({ folder, isCache: true });
  try {
    if (boot === null || boot !== before) {
      for await (const { sha256 } of cache.list()) await cache.remove(sha256);
      if (boot === null) await rm(place, { force: true });
      else await replaceFile(place, boot);
    }
    return cache;
  } catch (error) {
    await cache.close();
    throw error;
  }
}

/** Of this depot, in the mark of the prefix. */
async function idOf(data: string): Promise<string> {
  const path = join(data, 'depot-id');
  try {
    const known = await readFile(path, 'latin1').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (known !== null && ID.test(known.trim())) return known.trim();
    if (known !== null) throw new HaulError('BAD_DATA', `${path} is damaged: it holds 16 hexadecimal digits`);
    const made = randomBytes(8).toString('hex');
    await replaceFile(path, `${made}\n`);
    return made;
  } catch (error) {
    throw fromSystemError(error, 'keep the id of the depot in', path);
  }
}
