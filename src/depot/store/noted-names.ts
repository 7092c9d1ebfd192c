/** What is noted beside blobs, as it is read. */
import { open } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../../errors.js';
import { passOver } from './codes.js';
import { READ_FLAGS } from './known-blobs.js';
import type { Layout } from './layout.js';
import { parseNotes } from './sidecar.js';

export class NotedNames {
  readonly #layout: Layout;
  /** The latest file of lines that was read. */
  #latest: { readonly file: string; readonly size: number; readonly rows: ReturnType<typeof parseNotes> } | null = null;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** @throws HaulError where they cannot be read: that is not the same as none */
  async of(sha256: string): Promise<ReadonlyMap<string, string>> {
    const file = this.#layout.names(sha256);
    try {
      const handle = await open(file, READ_FLAGS).catch(passOver('ENOENT'));
      if (handle === null) return new Map();
      try {
        const size = await handle.stat().then((status) => (status.isFile() ? status.size : null));
        if (size === null) throw new HaulError('IO', `read ${file}: it is no file`, { where: file });
        if (this.#latest?.file !== file || this.#latest.size !== size)
          this.#latest = { file, size, rows: parseNotes(await handle.readFile('utf8')) };
        return this.#latest.rows.get(sha256) ?? new Map();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw fromSystemError(error, 'read', file);
    }
  }
}
