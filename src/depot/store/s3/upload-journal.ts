/**
 * Which multipart uploads this depot has begun and not ended, as files in its folder: after an end without warning they
 * are swept at the next start. The bucket does not say whose they are, and other depots go on with theirs.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError } from '../../../errors.js';
import type { Multipart } from './objects.js';

export class UploadJournal {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws HaulError */
  static async open(folder: string): Promise<UploadJournal> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return new UploadJournal(folder);
    } catch (error) {
      throw fromSystemError(error, 'make', folder);
    }
  }

  /** What cannot be noted is swept when it is old. */
  async begun(multipart: Multipart): Promise<void> {
    await writeFile(this.#fileOf(multipart), JSON.stringify([multipart.key, multipart.id])).catch(() => {});
  }

  async ended(multipart: Multipart): Promise<void> {
    await unlink(this.#fileOf(multipart)).catch(() => {});
  }

  async left(): Promise<Multipart[]> {
    const found: Multipart[] = [];
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const file = join(this.#folder, name);
      try {
        const [key, id] = JSON.parse(await readFile(file, 'utf8'));
        if (typeof key === 'string' && typeof id === 'string') found.push({ key, id });
      } catch {
        await unlink(file).catch(() => {});
      }
    }
    return found;
  }

  #fileOf({ key, id }: Multipart): string {
    return join(this.#folder, createHash('sha1').update(`${key} ${id}`).digest('hex'));
  }
}
