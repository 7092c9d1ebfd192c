/**
 * What names pointed to when the depot was asked last: for the moment, so that it is not asked for each request, and
 * for when it is away. Kept in a file of one line each, the latest of a name counts; a line that is torn or damaged is
 * none.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { Log } from '../../log.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { readOwnText } from '../read-own.js';
import type { CacheFolder } from './cache-folder.js';
import { AGENT_LIMITS } from './limits.js';

export interface KnownName {
  readonly row: ArtifactRow;
  /** When the depot said so, milliseconds since 1970. */
  readonly checkedMs: number;
  /** It was this agent that was told, not the one of before. */
  readonly isOwn: boolean;
}

const HEX64 = /^[0-9a-f]{64}$/;
/** Lines beyond the names that are known, before the file is written anew. */
const SPARE_LINES = 10_000;

export class NamesFile {
  readonly #folder: CacheFolder;
  readonly #log: Log;
  /** The one asked for longest ago first. */
  readonly #names = new Map<string, KnownName>();
  #handle: FileHandle | null = null;
  #lines = 0;
  #queue: string[] = [];
  #writing: Promise<void> | null = null;

  private constructor(folder: CacheFolder, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  static async open(folder: CacheFolder, log: Log): Promise<NamesFile> {
    const names = new NamesFile(folder, log);
    const text = await readOwnText(folder.names).catch(() => '');
    for (const line of text.split('\n')) {
      const known = line === '' ? null : decode(line);
      if (known !== null) names.#keep(known.row.name, known.row.sha256 === '' ? null : known);
    }
    await names.#rewrite();
    return names;
  }

  get count(): number {
    return this.#names.size;
  }

  get(name: string): KnownName | null {
    return this.#names.get(name) ?? null;
  }

  /** All that begin so; it looks at every name: some milliseconds for the most that there may be. */
  *below(prefix: string): Generator<ArtifactRow> {
    for (const [name, { row }] of this.#names) if (name.startsWith(prefix)) yield row;
  }

  /** @param row null: nothing has the name */
  put(name: string, row: ArtifactRow | null, checkedMs: number): void {
    const before = this.#names.get(name)?.row ?? null;
    this.#keep(name, row === null ? null : { row, checkedMs, isOwn: true });
    // Of an old row only the time is another one; the file need not know that.
    if (before?.sha256 === row?.sha256 && before?.contentType === row?.contentType) return;
    this.#queue.push(encode(name, row, checkedMs));
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
    });
  }

  /** It may mean something else by now: it is asked for, and believed only where the depot cannot be. */
  doubt(name: string): void {
    const known = this.#names.get(name);
    if (known !== undefined) this.#names.set(name, { ...known, isOwn: false });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#handle?.close();
    this.#handle = null;
  }

  #keep(name: string, known: KnownName | null): void {
    this.#names.delete(name);
    if (known !== null) this.#names.set(name, known);
    if (this.#names.size > AGENT_LIMITS.names) this.#names.delete(this.#names.keys().next().value!);
  }

  async #write(): Promise<void> {
    // A names file that cannot be written costs what is known when the depot is away, and nothing else.
    try {
      while (this.#queue.length > 0) {
        const lines = this.#queue.splice(0);
        this.#lines += lines.length;
        if (this.#lines > this.#names.size * 2 + SPARE_LINES || this.#handle === null) await this.#rewrite();
        else await this.#handle.appendFile(lines.join(''));
      }
    } catch (error) {
      this.#log('warn', `the names of the cache cannot be written: ${(error as Error).message}`, { code: 'NAMES' });
    }
  }

  async #rewrite(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
    const lines = [...this.#names].map(([name, { row, checkedMs }]) => encode(name, row, checkedMs));
    await this.#folder.replace(this.#folder.names, lines.join(''), false);
    this.#lines = lines.length;
    this.#handle = await open(this.#folder.names, 'a', 0o600);
  }
}

function encode(name: string, row: ArtifactRow | null, checkedMs: number): string {
  const { sha256 = '', lengthBytes = 0, infoHash = null, contentType = null, createdMs = 0 } = row ?? {};
  return `${JSON.stringify([name, sha256, lengthBytes, infoHash, contentType, createdMs, checkedMs])}\n`;
}

function decode(line: string): KnownName | null {
  try {
    const [name, sha256, lengthBytes, infoHash, contentType, createdMs, checkedMs] = JSON.parse(line) as unknown[];
    const isText = typeof name === 'string' && typeof sha256 === 'string' && (sha256 === '' || HEX64.test(sha256));
    const isNumber = Number.isSafeInteger(lengthBytes) && Number.isFinite(createdMs) && Number.isFinite(checkedMs);
    const isRest = isTextOrNull(infoHash) && isTextOrNull(contentType);
    if (!isText || !isNumber || !isRest) return null;
    const row = {
      name,
      sha256,
      lengthBytes: Number(lengthBytes),
      infoHash: infoHash as string | null,
      contentType: contentType as string | null,
      createdMs: Number(createdMs),
      expiresMs: null,
      usedMs: 0,
      isPinned: false,
      replicas: null,
    };
    return { row, checkedMs: Number(checkedMs), isOwn: false };
  } catch {
    return null;
  }
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === 'string';
}
