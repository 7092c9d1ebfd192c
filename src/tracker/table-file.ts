/**
 * Keeps the tables of the tracker in a file, so that a restarted tracker knows its peers. Soft: written now and then,
 * never waited for by an announce; what is damaged or old is ignored with a line in the log, and what cannot be written
 * is told once.
 */

import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromSystemError } from '../errors.js';
import type { Log } from '../log.js';
import { TRACKER_LIMITS } from './limits.js';
import type { Swarms } from './swarms.js';
import { DIGEST_BYTES, decodeTables, encodeTables, gathered, recordTimeS } from './table-record.js';

/**
 * Between two writes: so long, and a tenth of a millisecond more for each peer, which takes a microsecond to write,
 * some ten alone in its swarm.
 */
const PAUSE_MS = 5_000;
const PAUSE_PER_PEER_MS = 0.1;
/**
 * One write to the file costs as much as to encode hundreds of small swarms; while so much is encoded an announce waits
 * a millisecond or so.
 */
const WRITE_BYTES = 64 * 1024;

export interface TableFileOptions {
  readonly path: string;
  /** What the tables take for now, in milliseconds. */
  readonly now: () => number;
  readonly log?: Log | undefined;
}

export class TableFile {
  readonly #options: TableFileOptions;
  readonly #swarms: Swarms;
  /** What was read, until it is too old: of a tracker that learns its torrents one by one. */
  #read: { readonly bytes: Buffer; readonly ageS: number; readonly atMs: number } | null = null;
  #savedChanges = 0;
  #nextAtMs = 0;
  #saving: Promise<void> | null = null;
  #hasFailed = false;

  constructor(swarms: Swarms, options: TableFileOptions) {
    this.#swarms = swarms;
    this.#options = options;
  }

  /**
   * Reads the file; what is in it is given to the tables by `restore`. Never rejects. Returns whether there is
   * something usable.
   */
  async load(): Promise<boolean> {
    const { path, log, now } = this.#options;
    try {
      const bytes = await readWhole(path);
      if (bytes === null) return false;
      const body = bytes.subarray(0, Math.max(0, bytes.length - DIGEST_BYTES));
      const savedAtS = recordTimeS(body);
      const isWhole = savedAtS !== null && digestOf(body).equals(bytes.subarray(body.length));
      if (!isWhole || !decodeTables(body, () => {})) {
        log?.('warn', `tracker: ${path} is damaged, or no table of peers; it is ignored`);
        return false;
      }
      // A clock that was set back makes nothing younger than it was.
      const ageS = Math.max(0, Date.now() / 1000 - savedAtS);
      if (ageS > this.#swarms.expiryS) return false;
      this.#read = { bytes: body, ageS, atMs: now() };
      return true;
    } catch (error) {
      log?.('warn', `${fromSystemError(error, 'tracker: read', path).message}; it starts without peers`);
      return false;
    }
  }

  /**
   * Puts the peers of one swarm, or of all, into the tables, as old as they are.
   * @param infoHash 20 Latin-1 characters.
   */
  restore(infoHash: string | null): void {
    const read = this.#read;
    if (read === null) return;
    const nowMs = this.#options.now();
    const sinceS = read.ageS + (nowMs - read.atMs) / 1000;
    const before = this.#swarms.peerCount;
    decodeTables(read.bytes, (swarm, peer) => {
      if (infoHash === null || swarm.infoHash === infoHash)
        this.#swarms.restore(swarm, peer, nowMs, peer.ageS + sinceS);
    });
    if (infoHash === null) this.#read = null;
    const count = this.#swarms.peerCount - before;
    if (count > 0) this.#options.log?.('info', `tracker: ${count} peers known from ${this.#options.path}`);
  }

  /** To be called every second. */
  tick(): void {
    const nowMs = this.#options.now();
    if (this.#read !== null && nowMs > this.#read.atMs + this.#swarms.expiryS * 1000) this.#read = null;
    if (nowMs >= this.#nextAtMs && this.#saving === null) void this.save();
  }

  /** Writes the file if something has changed. Never rejects. */
  save(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = null;
      this.#nextAtMs = this.#options.now() + PAUSE_MS + this.#swarms.peerCount * PAUSE_PER_PEER_MS;
    });
    return this.#saving;
  }

  /** Writes what has changed last. Never rejects. */
  async close(): Promise<void> {
    await this.#saving;
    await this.save();
  }

  async #save(): Promise<void> {
    const { changes } = this.#swarms;
    if (changes === this.#savedChanges) return;
    const { path, log } = this.#options;
    try {
      await this.#write(path, `${path}.tmp`);
      this.#savedChanges = changes;
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed)
        log?.('warn', `${fromSystemError(error, 'tracker: write', path).message}; peers are not kept`);
      this.#hasFailed = true;
    }
  }

  /** Under another name first: there is always a whole file. Not synced: after a power cut a damaged one is ignored. */
  async #write(path: string, temporary: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await unlink(temporary).catch(() => {});
    // Exclusive, so that no link of that name is followed; addresses are nobody else's business.
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await this.#writeTables(handle);
      await handle.close();
      await rename(temporary, path);
    } catch (error) {
      await handle.close().catch(() => {});
      await unlink(temporary).catch(() => {});
      throw error;
    }
  }

  async #writeTables(handle: FileHandle): Promise<void> {
    const hash = createHash('sha1');
    const clock = (): number => Math.floor(this.#options.now() / 1000);
    const parts = encodeTables(this.#swarms.list, Date.now() / 1000, clock);
    for (const part of gathered(parts, WRITE_BYTES)) {
      hash.update(part);
      await handle.writeFile(part);
    }
    await handle.writeFile(hash.digest());
  }
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha1').update(bytes).digest();
}

/** Null when there is none. @throws system errors; also for what is no file, or longer than any table. */
async function readWhole(path: string): Promise<Buffer | null> {
  try {
    const found = await stat(path);
    if (!found.isFile() || found.size > TRACKER_LIMITS.stateBytes) {
      throw Object.assign(new Error('it is no table of peers'), { code: 'EFBIG' });
    }
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
