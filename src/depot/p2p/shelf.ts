/**
 * Where publishes by peers are kept over a restart, each in a folder of its own below ours:
 *
 *   ID/publish.json   what was asked for
 *   ID/torrent        our .torrent of it
 *   ID/data/          what came, and what the engine notes of it
 *
 * What has no publish.json that can be read was begun or given up when the process ended, and is swept at start.
 */
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fromSystemError, HaulError } from '../../errors.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import { encodeTorrent } from '../../metainfo/torrent-write.js';
import { forceFolder } from '../../storage/force.js';
import { fileNameOf, fullName, shortName, spaceOf } from '../names.js';
import { replaceFile } from '../replace-file.js';
import { P2P_LIMITS } from './limits.js';
import { ownTorrent } from './own-torrent.js';
import type { ArrivalRequest } from './port.js';

const ID = /^[0-9a-f]{32}$/;
const RECORD_BYTES = 64 * 1024;

const RECORD = z.strictObject({
  format: z.literal(1),
  name: z.string(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  contentType: z.string().nullable(),
  retentionDays: z.number().positive().nullable(),
  replicas: z.int().positive().nullable().default(null),
  overwrite: z.boolean(),
  onlyIfNew: z.boolean(),
  onlyAdds: z.boolean(),
  owner: z.string(),
  rest: z.strictObject({ sinceMs: z.number(), receivedBytes: z.int().min(0) }).nullable(),
});

export interface Kept {
  readonly id: string;
  readonly request: ArrivalRequest;
  readonly metainfo: Metainfo;
  /** Null: it does not rest. Milliseconds since 1970, verified bytes. */
  readonly rest: { readonly sinceMs: number; readonly receivedBytes: number } | null;
}

export class Shelf {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  /** Also what is kept there. @param root ours alone; made when it is missing. @throws HaulError of the file system */
  static async open(root: string): Promise<{ readonly shelf: Shelf; readonly kept: readonly Kept[] }> {
    try {
      await mkdir(root, { recursive: true, mode: 0o700 });
      const shelf = new Shelf(root);
      const kept: Kept[] = [];
      for (const id of await readdir(root)) {
        if (!ID.test(id)) continue;
        const found = await shelf.#read(id);
        if (found !== null) kept.push(found);
        else await shelf.remove(id);
      }
      return { shelf, kept };
    } catch (error) {
      throw fromSystemError(error, 'keep uploads in', root);
    }
  }

  /** For the engine: nothing else is in it. */
  dataOf(id: string): string {
    return join(this.#root, id, 'data');
  }

  /** Durable when it resolves. @throws HaulError NO_SPACE, READ_ONLY, IO */
  async add(kept: Kept): Promise<void> {
    const folder = join(this.#root, kept.id);
    try {
      await mkdir(this.dataOf(kept.id), { recursive: true, mode: 0o700 });
      const { infoBytes } = kept.metainfo;
      await replaceFile(join(folder, 'torrent'), encodeTorrent({ infoBytes, trackers: [], webSeeds: [] }));
      await this.note(kept);
      await forceFolder(this.#root);
    } catch (error) {
      await this.remove(kept.id).catch(() => {});
      throw fromSystemError(error, 'keep an upload in', folder);
    }
  }

  /** What is asked for, and whether it rests. @throws what the file system says */
  async note({ id, request, rest }: Pick<Kept, 'id' | 'request' | 'rest'>): Promise<void> {
    const { name, sha256, contentType, retentionDays, overwrite, onlyIfNew, owner } = request;
    const { replicas = null, onlyAdds = false } = request;
    const wish = { name, sha256, contentType, retentionDays, replicas, overwrite, onlyIfNew, onlyAdds, owner };
    const record: z.infer<typeof RECORD> = { format: 1, ...wish, rest };
    await replaceFile(join(this.#root, id, 'publish.json'), JSON.stringify(record), 0o600);
  }

  /** The record first: what is left of a removal is swept at the next start. @throws what the file system says */
  async remove(id: string): Promise<void> {
    await rm(join(this.#root, id, 'publish.json'), { force: true });
    await rm(join(this.#root, id), { recursive: true, force: true });
  }

  /** Null: it cannot be gone on with. */
  async #read(id: string): Promise<Kept | null> {
    const text = await readUpTo(join(this.#root, id, 'publish.json'), RECORD_BYTES);
    const torrent = await readUpTo(join(this.#root, id, 'torrent'), P2P_LIMITS.torrentBytes);
    if (text === null || torrent === null) return null;
    try {
      const { format: _, rest, ...request } = RECORD.parse(JSON.parse(text.toString('utf8')));
      const { name } = request;
      if (spaceOf(name) !== 'artifacts' || fullName('artifacts', shortName(name)) !== name) return null;
      return { id, request, metainfo: ownTorrent(torrent, fileNameOf(name)), rest };
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof z.ZodError || error instanceof HaulError) return null;
      throw error;
    }
  }
}

/** Null: there is none, or it is longer. */
async function readUpTo(path: string, bytesMax: number): Promise<Buffer | null> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (file === null) return null;
  try {
    return (await file.stat()).size > bytesMax ? null : await file.readFile();
  } finally {
    await file.close();
  }
}
