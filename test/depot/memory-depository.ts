/** A depository and its catalogue in memory: for tests of what stands before them. */
import { createHash } from 'node:crypto';
import type { ArtifactRow, Catalogue, ListPage, ListQuery } from '../../src/depot/catalogue/port.js';
import { rowOver } from '../../src/depot/catalogue/row.js';
import type { Artifacts } from '../../src/depot/http/inside.js';
import type { Upcoming } from '../../src/depot/keep/decide.js';
import type { NameFilter } from '../../src/depot/keep/keeper.js';
import type { Published, PublishRequest } from '../../src/depot/publish-port.js';
import type { ByteRange } from '../../src/depot/store/port.js';
import { HaulError } from '../../src/errors.js';

const TORRENT_BYTES_MIN = 64;

export class MemoryDepository implements Artifacts {
  readonly rows = new Map<string, ArtifactRow>();
  readonly blobs = new Map<string, Buffer>();
  /** Requests that are being published. */
  publishing = 0;
  /** What `publish` fails with before it reads the body. */
  trouble: HaulError | null = null;
  /** Announced bodies above this do not fit. */
  spaceBytes = Number.POSITIVE_INFINITY;
  nowMs = 1_700_000_000_000;
  /** Slices of what is read. */
  sliceBytes = 1024 * 1024;
  /** Readings that are under way. */
  reading = 0;

  async publish(request: PublishRequest): Promise<Published> {
    if (this.trouble !== null) throw this.trouble;
    if ((request.lengthBytes ?? 0) > this.spaceBytes) throw new HaulError('NO_SPACE', 'no space');
    this.publishing++;
    try {
      const bytes = await this.#bytesOf(request);
      return this.#put(request, bytes);
    } finally {
      this.publishing--;
    }
  }

  async #bytesOf({ body, sha256, lengthBytes }: PublishRequest): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(Buffer.from(chunk));
    const bytes = Buffer.concat(chunks);
    const found = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== null && sha256 !== found) throw new HaulError('MISMATCH', `the body has the SHA-256 ${found}`);
    if (lengthBytes !== null && lengthBytes !== bytes.length) throw new HaulError('MISMATCH', 'another length');
    return bytes;
  }

  #put(request: PublishRequest, bytes: Buffer): Published {
    const { name, onlyIfNew, overwrite, contentType, retentionDays } = request;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const before = this.rows.get(name);
    const isSame = before?.sha256 === sha256;
    if (before !== undefined && (onlyIfNew || (!isSame && !overwrite)))
      throw new HaulError('FILE_EXISTS', 'another artifact has this name');
    this.blobs.set(sha256, bytes);
    const row: ArtifactRow = {
      name,
      sha256,
      lengthBytes: bytes.length,
      infoHash: bytes.length < TORRENT_BYTES_MIN ? null : createHash('sha1').update(bytes).digest('hex'),
      contentType,
      createdMs: this.nowMs,
      expiresMs: retentionDays === null ? null : this.nowMs + retentionDays * 86_400_000,
      usedMs: this.nowMs,
      isPinned: false,
      replicas: null,
    };
    const stored = before === undefined ? row : rowOver(before, row, request);
    this.rows.set(name, stored);
    return { kind: before === undefined ? 'created' : isSame ? 'unchanged' : 'replaced', row: stored };
  }

  async find(name: string): Promise<ArtifactRow | null> {
    return this.rows.get(name) ?? null;
  }

  async *read(row: ArtifactRow, { begin, end }: ByteRange): AsyncGenerator<Uint8Array> {
    const bytes = this.blobs.get(row.sha256);
    if (bytes === undefined) throw new HaulError('BAD_DATA', '/somewhere/secret is not what it was');
    this.reading++;
    try {
      for (let at = begin; at < end; at += this.sliceBytes)
        yield bytes.subarray(at, Math.min(end, at + this.sliceBytes));
    } finally {
      this.reading--;
    }
  }

  async remove(name: string): Promise<ArtifactRow | null> {
    const row = this.rows.get(name) ?? null;
    this.rows.delete(name);
    return row;
  }

  async pin(name: string, isPinned: boolean): Promise<ArtifactRow | null> {
    const row = this.rows.get(name);
    if (row === undefined) return null;
    this.rows.set(name, { ...row, isPinned });
    return this.rows.get(name)!;
  }

  async torrent(row: ArtifactRow, announceUrl: string, webSeedUrl: string): Promise<Buffer | null> {
    return row.infoHash === null ? null : Buffer.from(JSON.stringify({ announceUrl, webSeedUrl }));
  }

  readonly catalogue: Pick<Catalogue, 'list' | 'byInfoHash' | 'counts'> = {
    list: async ({ prefix, cursor, limit }: ListQuery): Promise<ListPage> => {
      const all = [...this.rows.values()]
        .filter(({ name }) => name.startsWith(prefix) && (cursor === null || name > cursor))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      const rows = all.slice(0, limit);
      return { rows, cursor: all.length > limit ? rows.at(-1)!.name : null };
    },
    byInfoHash: async (infoHash) => [...this.rows.values()].find((row) => row.infoHash === infoHash) ?? null,
    counts: async () => ({ names: this.rows.size, blobs: this.blobs.size, blobBytes: 0 }),
  };

  /** By age alone. */
  async upcoming(limit: number, isWanted: NameFilter): Promise<readonly Upcoming[]> {
    const all = [...this.rows.values()]
      .filter(({ expiresMs, isPinned }) => !isPinned && expiresMs !== null)
      .sort((a, b) => a.expiresMs! - b.expiresMs! || (a.name < b.name ? -1 : 1));
    const found: Upcoming[] = [];
    for (const row of all) {
      if (found.length < limit && (await isWanted(row.name)))
        found.push({ row, reason: 'age', atMs: row.expiresMs, obstacle: null });
    }
    return found;
  }
}
