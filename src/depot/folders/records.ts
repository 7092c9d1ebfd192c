/** The files in `folders/`: one for each torrent and prefix. Those in use are kept in memory, a few. */
import { mkdir, open, readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSystemError } from '../../errors.js';
import { readOwnText } from '../read-own.js';
import { replaceFile } from '../replace-file.js';
import { passOver } from '../store/codes.js';
import { READ_FLAGS } from '../store/known-blobs.js';
import {
  encodeFolder,
  type FolderHead,
  type FolderRecord,
  HEAD_BYTES,
  parseFolder,
  parseHead,
  recordId,
} from './record.js';

/** Files of all records in memory: some 300 bytes each. */
const LOADED_FILES = 40_000;
const NAME = /^[0-9a-f]{40}-[0-9a-f]{16}$/;

export interface KeptFolder extends FolderHead {
  readonly id: string;
  readonly recordBytes: number;
  /** When it was wanted last, milliseconds since 1970. */
  readonly wantedMs: number;
}

export class FolderRecords {
  readonly #folder: string;
  /** The latest used last. */
  readonly #loaded = new Map<string, FolderRecord>();
  #loadedFiles = 0;

  /** @param data the data folder */
  constructor(data: string) {
    this.#folder = join(data, 'folders');
  }

  /** What is there; what is none goes. @throws HaulError */
  async list(): Promise<KeptFolder[]> {
    try {
      const found: KeptFolder[] = [];
      for (const name of (await readdir(this.#folder).catch(passOver('ENOENT'))) ?? []) {
        const kept = NAME.test(name) ? await this.#look(name) : null;
        if (kept === null) await rm(join(this.#folder, name), { recursive: true, force: true });
        else found.push(kept);
      }
      return found;
    } catch (error) {
      throw fromSystemError(error, 'read', this.#folder);
    }
  }

  /** Durable when it resolves. @throws HaulError */
  async keep(record: FolderRecord, pieces: Buffer, nowMs: number): Promise<KeptFolder> {
    const text = encodeFolder(record, pieces);
    const id = recordId(record);
    const file = join(this.#folder, id);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o755 });
      await replaceFile(file, text);
    } catch (error) {
      throw fromSystemError(error, 'write', file);
    }
    this.#remember(id, record);
    const { prefix, infoHash, key, files, lengthBytes } = record;
    const recordBytes = Buffer.byteLength(text);
    return { id, prefix, infoHash, key, files, lengthBytes, recordBytes, wantedMs: nowMs };
  }

  /** Null: it is not there, or damaged. */
  async get(id: string): Promise<FolderRecord | null> {
    const known = this.#loaded.get(id);
    const text = known === undefined ? await readOwnText(join(this.#folder, id)).catch(() => null) : null;
    const record = known ?? (text === null ? null : await parseFolder(text));
    if (record === null || recordId(record) !== id) return null;
    this.#remember(id, record);
    return record;
  }

  async remove(id: string): Promise<void> {
    this.#forget(id);
    await rm(join(this.#folder, id), { force: true }).catch(() => {});
  }

  /** It is worth no failure. */
  async wanted(id: string, nowMs: number): Promise<void> {
    await utimes(join(this.#folder, id), nowMs / 1000, nowMs / 1000).catch(() => {});
  }

  async #look(id: string): Promise<KeptFolder | null> {
    const handle = await open(join(this.#folder, id), READ_FLAGS);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) return null;
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      const head = parseHead(buffer.toString('utf8', 0, bytesRead));
      if (head === null || recordId(head) !== id) return null;
      const { prefix, infoHash, key, files, lengthBytes } = head;
      const [recordBytes, wantedMs] = [stats.size, stats.mtimeMs];
      return { id, prefix, infoHash, key, files, lengthBytes, recordBytes, wantedMs };
    } finally {
      await handle.close();
    }
  }

  #remember(id: string, record: FolderRecord): void {
    this.#forget(id);
    this.#loaded.set(id, record);
    this.#loadedFiles += record.files;
    for (const oldest of this.#loaded.keys()) {
      if (this.#loadedFiles <= LOADED_FILES || oldest === id) return;
      this.#forget(oldest);
    }
  }

  #forget(id: string): void {
    this.#loadedFiles -= this.#loaded.get(id)?.files ?? 0;
    this.#loaded.delete(id);
  }
}
