/**
 * Where things lie below the data folder:
 *
 *   depot.json               says that the folder is ours
 *   lock                     held while a process uses it
 *   tmp/<run>-<n>            uploads; swept at start
 *   blobs/ab/<sha256>        the bytes, read-only
 *   blobs/ab/<sha256>.json   beside those of more than SMALL_BYTES: length, stamp, hashes of pieces
 *   blobs/ab/names           lines ["sha256","name","row" or null]: the last about a pair counts
 *   views/<id>/<path>        hard links for the engine; swept at start
 *   folders/<info-hash>      torrents of folders: see `folders/record.ts`
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DEPOT_LIMITS } from '../limits.js';

export const SMALL_BYTES: number = DEPOT_LIMITS.smallBlobBytes;

const SHA256 = /^[0-9a-f]{64}$/;

export function isSha256(text: string): boolean {
  return SHA256.test(text);
}

export class Layout {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get mark(): string {
    return join(this.root, 'depot.json');
  }

  get lock(): string {
    return join(this.root, 'lock');
  }

  get blobs(): string {
    return join(this.root, 'blobs');
  }

  temporary(name: string): string {
    return join(this.root, 'tmp', name);
  }

  folder(sha256: string): string {
    return join(this.blobs, sha256.slice(0, 2));
  }

  blob(sha256: string): string {
    return join(this.folder(sha256), sha256);
  }

  sidecar(sha256: string): string {
    return join(this.folder(sha256), `${sha256}.json`);
  }

  names(sha256: string): string {
    return join(this.folder(sha256), 'names');
  }

  view(sha256: string, fileName: string): string {
    return join(this.root, 'views', createHash('sha1').update(`${sha256}/${fileName}`).digest('hex'));
  }
}
