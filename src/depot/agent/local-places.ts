/**
 * Where a cached blob lies, for a client on this machine that copies it by itself: by reflink, where the file system
 * can do that, so that no byte is moved. It opens the file with its own rights: who may not read the cache fetches by
 * HTTP.
 */

import { isLoopbackAddress } from '../../net/private-address.js';
import { Problem } from '../http/problems.js';
import { fullName, type Space } from '../names.js';
import { resolveOrFail } from './answer-read.js';
import type { BlobCache } from './blob-cache.js';
import type { Directory } from './directory.js';

export interface LocalPlace {
  /** Full name. */
  readonly name: string;
  readonly sha256: string;
  readonly lengthBytes: number;
  /** Absolute path of a file with exactly these bytes. Null: it is not cached as a file of its own. */
  readonly path: string | null;
}

export class LocalPlaces {
  readonly #cache: BlobCache;
  readonly #directory: Directory;

  constructor(cache: BlobCache, directory: Directory) {
    this.#cache = cache;
    this.#directory = directory;
  }

  /** @param name full. @throws Problem 403: from elsewhere; 404; 504; HaulError BAD_ARGUMENT: it is none */
  async find(name: string, remote: string): Promise<LocalPlace> {
    if (!isLoopbackAddress(remote.replace(/^::ffff:/i, '')))
      throw new Problem(403, 'NOT_LOCAL', 'paths of this machine are for this machine');
    const [, space, path] = /^(artifacts|cas|ac)\/(.+)$/s.exec(name) ?? [];
    if (path === undefined) throw new Problem(404, 'NOT_FOUND', 'there is no such artifact');
    // The depot is asked for nothing that no artifact can be called: "artifacts/../status".
    const { row } = await resolveOrFail(this.#directory, fullName(space as Space, path));
    const { sha256, lengthBytes } = row;
    const blob = this.#cache.find(sha256);
    const none = { name, sha256, lengthBytes, path: null };
    if (blob === null || blob.kind !== 'whole') return none;
    this.#cache.hold(blob);
    try {
      const file = await this.#cache.openWhole(blob);
      await file?.handle.close();
      return file === null ? none : { ...none, path: this.#cache.path(blob.record!) };
    } finally {
      this.#cache.release(blob);
    }
  }
}
