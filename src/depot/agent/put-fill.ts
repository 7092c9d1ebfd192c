/**
 * What was published through the agent goes into its cache: the copy that was made of the bytes as they passed, once
 * the depot has said what it stored and the copy is that. It goes on beside the answer, and what becomes of it is told
 * nobody: without it the blob is fetched as any other.
 */
import { createHash } from 'node:crypto';
import { rename, unlink } from 'node:fs/promises';
import { HaulError } from '../../errors.js';
import type { Log } from '../../log.js';
import type { ArtifactRow } from '../catalogue/port.js';
import type { BlobCache } from './blob-cache.js';
import { checkTorrent } from './check-torrent.js';
import type { DepotPort } from './depot-port.js';
import type { Fetches } from './fetches.js';
import { fileSha256 } from './file-sha.js';
import { AGENT_LIMITS } from './limits.js';
import { type Copied, PutCopy } from './put-copy.js';
import type { Seeds } from './seeds.js';

export interface PutFillParts {
  readonly cache: BlobCache;
  readonly client: DepotPort;
  readonly fetches: Fetches;
  readonly seeds: Seeds;
  readonly log: Log;
}

type Torrent = ReturnType<typeof checkTorrent>;

export class PutFill {
  readonly #parts: PutFillParts;
  readonly #keeping = new Set<Promise<void>>();
  /** Of memory. */
  #bookedBytes = 0;

  constructor(parts: PutFillParts) {
    this.#parts = parts;
  }

  /** For a body of so many bytes, null: nobody knows. Null: it is too long, or enough are under way. */
  copy(lengthBytes: number | null): PutCopy | null {
    const { cache } = this.#parts;
    const bytesMax = Math.floor(cache.cacheBytes * AGENT_LIMITS.copyShare);
    const bookedBytes = Math.min(lengthBytes ?? AGENT_LIMITS.copyBytes, AGENT_LIMITS.copyBytes);
    const isFull = this.#bookedBytes + bookedBytes > AGENT_LIMITS.copiesBytes;
    if (isFull || (lengthBytes ?? 0) > bytesMax) return null;
    this.#bookedBytes += bookedBytes;
    return new PutCopy(cache.folder.temporary(), { bytesMax, bookedBytes });
  }

  /**
   * The upload has ended. Never rejects, nor need it be awaited.
   * @param row what the depot stored of it; null: nothing
   */
  async ended(copy: PutCopy, row: ArtifactRow | null): Promise<void> {
    const keeping = this.#ended(copy, row).catch((error: Error) => {
      const text = `what was published is not kept in the cache: ${error.message}`;
      this.#parts.log('debug', text, { code: 'NOT_KEPT' });
    });
    this.#keeping.add(keeping);
    await keeping;
    this.#keeping.delete(keeping);
    this.#bookedBytes -= copy.bookedBytes;
  }

  async close(): Promise<void> {
    await Promise.all(this.#keeping);
  }

  async #ended(copy: PutCopy, row: ArtifactRow | null): Promise<void> {
    if (row === null) {
      await copy.drop();
      return;
    }
    const copied = await copy.end();
    if (copied === null) return;
    try {
      if (copied.lengthBytes !== row.lengthBytes || (await digestOf(copied)) !== row.sha256)
        throw new HaulError('MISMATCH', 'the depot has stored other bytes than those that passed');
      // Who wants the blob while it is put away waits for the disk alone, not for the depot.
      const { cache, client, fetches } = this.#parts;
      const isTorrent = copied.bytes === null && row.infoHash !== null && cache.held(row.sha256) === null;
      const given = isTorrent ? await client.torrent(row.name) : null;
      const torrent = given === null ? null : checkTorrent(given, row);
      await fetches.adopt(row.sha256, () => this.#keep(copied, row, torrent));
    } finally {
      if (copied.bytes === null) await unlink(copied.path).catch(() => {});
    }
  }

  async #keep({ bytes, path }: Copied, row: ArtifactRow, torrent: Torrent | null): Promise<void> {
    const { cache, seeds } = this.#parts;
    const { sha256 } = row;
    if (cache.held(sha256) !== null) return;
    if (bytes !== null) {
      await cache.addSmall(sha256, bytes);
      return;
    }
    const { blob, room } = cache.reserve(sha256, row.lengthBytes);
    try {
      await room;
      await cache.folder.make(sha256);
      const fileName = torrent?.metainfo.name ?? 'blob';
      if (torrent !== null) await cache.folder.replace(cache.folder.torrent(sha256), torrent.bytes, false);
      await rename(path, cache.path({ sha256, fileName }));
      const whole = await cache.settle(blob, { infoHash: torrent?.metainfo.infoHashHex ?? null, fileName });
      seeds.add(whole, 'fresh');
      cache.release(whole);
    } catch (error) {
      await cache.drop(blob);
      throw error;
    }
    if (torrent !== null) seeds.trackers = torrent.metainfo.trackers;
  }
}

async function digestOf({ bytes, path, lengthBytes }: Copied): Promise<string> {
  return bytes === null ? fileSha256(path, lengthBytes) : createHash('sha256').update(bytes).digest('hex');
}
