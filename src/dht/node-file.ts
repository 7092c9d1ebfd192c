/**
 * The file that keeps the nodes of the DHT over a restart. Soft: what is damaged is ignored, what cannot be written is
 * told once, and no search waits for either. Written under another name first, so that there is always a whole file.
 */
import { mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromSystemError } from '../errors.js';
import type { Log } from '../log.js';
import { DHT_LIMITS } from './limits.js';
import { decodeNodeRecord, encodeNodeRecord, NO_NODES, type NodeRecord } from './node-record.js';

export class NodeFile {
  readonly #path: string;
  readonly #log: Log;
  #hasFailed = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Never rejects. */
  async load(): Promise<NodeRecord> {
    try {
      const found = await stat(this.#path);
      if (found.isFile() && found.size <= DHT_LIMITS.nodeFileBytes) {
        const record = decodeNodeRecord(await readFile(this.#path));
        if (record !== null) return record;
      }
      this.#log('warn', `DHT: ${this.#path} is damaged, or no list of nodes; it is ignored`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#log('warn', `${fromSystemError(error, 'DHT: read', this.#path).message}; it starts without nodes`);
    }
    return NO_NODES;
  }

  /** Never rejects. A table that is empty takes the place of nothing. */
  save(record: NodeRecord): Promise<void> {
    if (record[4].nodes.length + record[6].nodes.length === 0) return this.#saving;
    this.#saving = this.#saving.then(() => this.#write(encodeNodeRecord(record)));
    return this.#saving;
  }

  async #write(bytes: Buffer): Promise<void> {
    // Two processes may share the file: each has a name of its own for what is not whole yet.
    const temporary = `${this.#path}.${process.pid}.tmp`;
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      await unlink(temporary).catch(() => {});
      // Exclusive, so that no link of that name is followed; addresses are nobody else's business.
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(bytes);
      } finally {
        await handle.close();
      }
      await rename(temporary, this.#path);
      this.#hasFailed = false;
    } catch (error) {
      await unlink(temporary).catch(() => {});
      if (!this.#hasFailed)
        this.#log('warn', `${fromSystemError(error, 'DHT: write', this.#path).message}; nodes are not kept`);
      this.#hasFailed = true;
    }
  }
}
