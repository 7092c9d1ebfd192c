/** A blob fetched by HTTP alone: it is short, or has no torrent. */
import { unlink } from 'node:fs/promises';
import type { RateGate } from '../../rates-api.js';
import type { ArtifactRow } from '../catalogue/port.js';
import type { ByteRange } from '../store/port.js';
import type { DepotPort, OpenedBytes } from './depot-port.js';
import { DepotAway } from './depot-trouble.js';
import { Deferred, type Fetch, type FetchedBytes } from './fetch.js';
import type { GivenAway } from './go-on.js';
import { HttpStream, isShort } from './http-stream.js';
import { StallWatch } from './stall-watch.js';

export interface PlainFetchOptions {
  readonly row: ArtifactRow;
  readonly client: DepotPort;
  /** Where a long one is written to meanwhile, */
  readonly temporary: string;
  /** once there is space for it. */
  readonly ready: Promise<void>;
  /** Its bytes are on their way already; null: they are asked for. */
  readonly opened: OpenedBytes | null;
  readonly now: () => number;
  readonly gate: RateGate;
  /** All is here and right. @param bytes of a short one; null: it is in `temporary` */
  readonly keep: (bytes: Buffer | null) => Promise<void>;
  /** It has ended, well or not: space that was spoken for and not taken is free again. */
  readonly free: () => Promise<void>;
}

export class PlainFetch implements Fetch {
  readonly row: ArtifactRow;
  users = 0;
  readonly #options: PlainFetchOptions;
  readonly #stream: HttpStream;
  readonly #stall: StallWatch;
  readonly #done = new Deferred<void>();

  constructor(options: PlainFetchOptions) {
    this.#options = options;
    this.row = options.row;
    const { row, client, temporary, ready, opened, now, gate } = options;
    this.#stall = new StallWatch(now());
    this.#stream = new HttpStream({ row, client, path: isShort(row) ? null : temporary, ready, opened, gate });
    void this.#run();
  }

  get share(): number {
    return this.row.lengthBytes === 0 ? 1 : this.#stream.hereBytes / this.row.lengthBytes;
  }

  get bytes(): FetchedBytes {
    return { peers: 0, webSeed: this.#stream.hereBytes };
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  tick(): void {
    const { client, now } = this.#options;
    const { hereBytes } = this.#stream;
    const isWorking = hereBytes === this.row.lengthBytes;
    if (this.#stall.look(now(), hereBytes, client.isAway === true, isWorking))
      this.#stream.fail(new DepotAway('the depot sends next to nothing'));
  }

  leave(): void {
    void this.#stream.close();
  }

  async stop(): Promise<void> {
    await this.#stream.close();
    await this.#done.promise.catch(() => {});
  }

  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#stream.read(range, signal);
  }

  givenAway(): Promise<GivenAway> {
    return this.#stream.given();
  }

  async #run(): Promise<void> {
    const { row, keep, free } = this.#options;
    try {
      await this.#stream.whole.promise;
      await keep(isShort(row) ? this.#stream.memory : null);
      await this.#clear(free);
      this.#done.resolve();
    } catch (error) {
      await this.#clear(free);
      this.#done.reject(error);
    }
  }

  async #clear(free: () => Promise<void>): Promise<void> {
    if (!isShort(this.row)) await unlink(this.#options.temporary).catch(() => {});
    await free();
  }
}
