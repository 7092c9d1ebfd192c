/**
 * Torrents known by their info-hash alone: a row in a table until somebody shakes hands for one, then its owner says what it is, and it is
 * added; where the owner says so it goes back to sleep when nobody needed it for a while. The row stays as long as the owner wants.
 */
import type { AddOptions, WakeDormant } from './api.js';
import { LIMITS } from './config.js';
import { HaulError } from './errors.js';
import type { Metainfo } from './metainfo/metainfo.js';
import type { LiveTorrent } from './torrent/torrent.js';
import { Waker } from './waker.js';

export interface DormantOptions {
  readonly now: () => number;
  readonly find: (infoHashHex: string) => LiveTorrent | null;
  /** @throws HaulError */
  readonly add: (metainfo: Metainfo, options: AddOptions) => LiveTorrent;
  readonly onTrouble: (message: string, facts: Record<string, unknown>) => void;
}

interface Awake {
  readonly sleepAfterMs: number;
  idleSinceMs: number;
}

export class Dormant {
  readonly #options: DormantOptions;
  /** By the twenty bytes as latin1: 32 bytes of memory, where hexadecimal takes 56. */
  readonly #rows = new Map<string, WakeDormant>();
  readonly #waker: Waker<LiveTorrent>;
  /** Those that go back to sleep. */
  readonly #awake = new Map<LiveTorrent, Awake>();

  constructor(options: DormantOptions) {
    this.#options = options;
    const { wakesAtOnce, wakesWaiting, handshakeTimeoutMs, wakeRetryMs } = LIMITS;
    const limits = { atOnce: wakesAtOnce, waiting: wakesWaiting, timeoutMs: handshakeTimeoutMs, retryMs: wakeRetryMs };
    this.#waker = new Waker(limits, options.now());
  }

  get count(): number {
    return this.#rows.size;
  }

  /** Replaces the row that is there. @throws HaulError BAD_ARGUMENT */
  register(infoHash: Uint8Array | string, wake: WakeDormant): void {
    this.#rows.set(keyOf(infoHash), wake);
  }

  forget(infoHash: Uint8Array | string): boolean {
    return this.#rows.delete(keyOf(infoHash));
  }

  /** Resolves when the torrent takes peers; with null when it cannot be had in time. Null at once: it is not in the table. */
  wake(infoHash: Uint8Array | string): Promise<LiveTorrent | null> | null {
    const key = keyOf(infoHash);
    const row = this.#rows.get(key);
    if (row === undefined) return null;
    return this.#waker.wake(key, () => this.#rouse(Buffer.from(key, 'latin1').toString('hex'), row));
  }

  /** Once a second. */
  tick(nowMs: number): void {
    this.#waker.tick(nowMs);
    for (const [torrent, awake] of this.#awake) {
      if (torrent.isStopping) this.#awake.delete(torrent);
      else if (torrent.state !== 'seeding' || torrent.exchange?.peerCount !== 0) awake.idleSinceMs = nowMs;
      else if (nowMs - awake.idleSinceMs >= awake.sleepAfterMs) {
        this.#awake.delete(torrent);
        void torrent.stop();
      }
    }
  }

  close(): void {
    this.#waker.close();
    this.#rows.clear();
  }

  async #rouse(infoHashHex: string, wake: WakeDormant): Promise<LiveTorrent | null> {
    const { find, add, now, onTrouble } = this.#options;
    try {
      // One that is just going to sleep has to be gone first.
      await gone(find(infoHashHex));
      const known = find(infoHashHex);
      if (known !== null) return await admitting(known);
      const found = await wake(infoHashHex);
      if (found === null) return null;
      const { metainfo, options, sleepAfterMs } = found;
      if (metainfo.infoHashHex !== infoHashHex)
        throw new HaulError('BAD_ARGUMENT', `it was woken as torrent ${metainfo.infoHashHex}`, {
          infoHash: infoHashHex,
        });
      // The owner may have added it by itself meanwhile.
      const torrent = find(infoHashHex) ?? add(metainfo, options);
      if (sleepAfterMs !== undefined) this.#awake.set(torrent, { sleepAfterMs, idleSinceMs: now() });
      return await admitting(torrent);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      onTrouble(`dormant torrent ${infoHashHex} cannot be woken: ${reason}`, { infoHash: infoHashHex });
      return null;
    }
  }
}

async function gone(torrent: LiveTorrent | null): Promise<void> {
  if (torrent?.isStopping === true) await torrent.stop();
}

/** Resolves when the torrent takes peers, with null when it ends before. */
function admitting(torrent: LiveTorrent): Promise<LiveTorrent | null> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!torrent.roster.isAdmitting && !torrent.isStopping) return;
      torrent.off('state', look);
      resolve(torrent.roster.isAdmitting ? torrent : null);
    };
    torrent.on('state', look);
    look();
  });
}

/** @throws HaulError BAD_ARGUMENT */
function keyOf(infoHash: Uint8Array | string): string {
  const isText = typeof infoHash === 'string';
  const bytes = isText && !/^[0-9a-f]{40}$/i.test(infoHash) ? null : isText ? Buffer.from(infoHash, 'hex') : infoHash;
  if (bytes?.length !== 20)
    throw new HaulError('BAD_ARGUMENT', 'an info-hash is 20 bytes, or 40 hexadecimal digits', { option: 'infoHash' });
  return (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes)).toString('latin1');
}
