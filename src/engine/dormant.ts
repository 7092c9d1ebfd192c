/**
 * Torrents known by their info-hash alone: a row in a table until somebody shakes hands for one, then its owner says
 * what it is, and it is added; where the owner says so it goes back to sleep when nobody needed it for a while. The row
 * stays as long as the owner wants.
 */
import type { AddOptions, WakeDormant, WokenTorrent } from '../api.js';
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { LiveTorrent } from '../torrent/torrent.js';
import { Waker } from './waker.js';

export interface DormantOptions {
  readonly now: () => number;
  readonly find: (infoHashHex: string) => LiveTorrent | null;
  /** Torrents that go back to sleep: so many are awake at once. */
  readonly maxAwake: number;
  /** @throws HaulError */
  readonly add: (metainfo: Metainfo, options: AddOptions) => LiveTorrent;
  readonly onTrouble: (message: string, facts: Record<string, unknown>) => void;
}

/** Somebody waits for it to take peers. */
interface Admission {
  readonly untilMs: number;
  readonly answer: Promise<LiveTorrent | null>;
  /** Takes its listener away, and answers with what is then. */
  readonly end: () => void;
}

interface Awake {
  readonly sleepAfterMs: number;
  idleSinceMs: number;
}

export class Dormant {
  readonly #options: DormantOptions;
  /** By the twenty bytes as latin1: 32 bytes of memory, where hexadecimal takes 56. */
  readonly #rows = new Map<string, WakeDormant>();
  /** Asked for what is in no row; null: nobody is. */
  #wakeOther: WakeDormant | null = null;
  readonly #waker: Waker<LiveTorrent>;
  /** Those that go back to sleep, by info-hash in hex: each pause of one, or check, ends its session for another. */
  readonly #awake = new Map<string, Awake>();
  /** Those on their way to sleep: a tracker that does not answer the goodbye keeps them for a while. */
  readonly #leaving = new Set<LiveTorrent>();
  readonly #admissions = new Map<LiveTorrent, Admission>();

  constructor(options: DormantOptions) {
    this.#options = options;
    const limits = {
      atOnce: LIMITS.wakesAtOnce,
      waiting: LIMITS.wakesWaiting,
      timeoutMs: LIMITS.handshakeTimeoutMs,
      hangMs: LIMITS.wakeHangMs,
      retryMs: LIMITS.wakeRetryMs,
    };
    this.#waker = new Waker(limits, options.now());
  }

  get count(): number {
    return this.#rows.size;
  }

  /** Replaces the row that is there. @throws HaulError BAD_ARGUMENT */
  register(infoHash: Uint8Array | string, wake: WakeDormant): void {
    this.#rows.set(keyOf(infoHash), wake);
  }

  /** For all that is in no row. */
  registerOther(wake: WakeDormant | null): void {
    this.#wakeOther = wake;
  }

  /** One that is awake stays so. */
  forget(infoHash: Uint8Array | string): boolean {
    const key = keyOf(infoHash);
    this.#awake.delete(hexOf(key));
    return this.#rows.delete(key);
  }

  /** A torrent is there no more: one that is added under this name later is its owner's. */
  ended(infoHashHex: string): void {
    this.#awake.delete(infoHashHex);
  }

  /**
   * Resolves when the torrent takes peers; with null when it cannot be had in time. Null at once: it is neither in the
   * table nor a seed that rests, and nobody is asked for others.
   * @param gone whoever asks waits no longer
   */
  wake(infoHash: Uint8Array | string, gone?: AbortSignal): Promise<LiveTorrent | null> | null {
    const key = keyOf(infoHash);
    const found = this.#options.find(hexOf(key));
    const isHere = this.#wakeOf(key) !== null || found?.rest.isResting === true;
    return isHere ? this.#waker.wake(key, (yieldTurn) => this.#rouse(key, yieldTurn), gone) : null;
  }

  /** Once a second. */
  tick(nowMs: number): void {
    this.#waker.tick(nowMs);
    for (const { untilMs, end } of [...this.#admissions.values()]) if (nowMs >= untilMs) end();
    for (const [infoHashHex, awake] of this.#awake) {
      const torrent = this.#options.find(infoHashHex);
      if (torrent === null || !this.#isIdle(torrent)) awake.idleSinceMs = nowMs;
      else if (nowMs - awake.idleSinceMs >= awake.sleepAfterMs) this.#putToSleep(torrent);
    }
  }

  #wakeOf(key: string): WakeDormant | null {
    return this.#rows.get(key) ?? this.#wakeOther;
  }

  close(): void {
    this.#rows.clear();
    this.#wakeOther = null;
    this.#waker.close();
    for (const { end } of [...this.#admissions.values()]) end();
  }

  #isIdle(torrent: LiveTorrent): boolean {
    const isAlone = torrent.rest.isResting || torrent.exchange?.peerCount === 0;
    return torrent.state === 'seeding' && isAlone && !this.#admissions.has(torrent);
  }

  #putToSleep(torrent: LiveTorrent): void {
    this.#awake.delete(torrent.metainfo.infoHashHex);
    this.#leaving.add(torrent);
    void torrent.stop().then(() => this.#leaving.delete(torrent));
  }

  async #rouse(key: string, yieldTurn: () => void): Promise<LiveTorrent | null> {
    const { find, onTrouble } = this.#options;
    const infoHashHex = hexOf(key);
    try {
      // One that is just going to sleep has to be gone first.
      await gone(find(infoHashHex));
      const known = find(infoHashHex);
      // The owner's own, or one that somebody waited for before: who knows how long it is checked.
      if (known?.rest.isResting === true) await known.rest.rise(yieldTurn);
      if (known !== null) return known.state === 'checking' ? null : await this.#admitting(known);
      const wake = this.#wakeOf(key);
      const found = (await wake?.(infoHashHex)) ?? null;
      // It may have been forgotten, or be somebody else's, since.
      if (found === null || this.#wakeOf(key) !== wake) return null;
      if (found.metainfo.infoHashHex !== infoHashHex)
        throw new HaulError('BAD_ARGUMENT', `it was woken as torrent ${found.metainfo.infoHashHex}`, {
          infoHash: infoHashHex,
        });
      // The owner may have added it by itself meanwhile: then it is not ours to put to sleep.
      return await this.#admitting(find(infoHashHex) ?? this.#addAwake(found));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      onTrouble(`dormant torrent ${infoHashHex} cannot be woken: ${reason}`, { infoHash: infoHashHex });
      return null;
    }
  }

  #addAwake({ metainfo, options, sleepAfterMs }: WokenTorrent): LiveTorrent {
    const { add, now } = this.#options;
    if (sleepAfterMs === undefined) return add(metainfo, options);
    this.#makeRoom();
    const torrent = add(metainfo, options);
    this.#awake.set(metainfo.infoHashHex, { sleepAfterMs, idleSinceMs: now() });
    return torrent;
  }

  /** The one that has been idle for longest goes to sleep. @throws Error when none may */
  #makeRoom(): void {
    const { maxAwake } = this.#options;
    const running = this.#running();
    if (running.length < maxAwake) return;
    if (this.#leaving.size >= maxAwake) throw new Error(`${maxAwake} others are just going to sleep`);
    let longest: { torrent: LiveTorrent; idleSinceMs: number } | null = null;
    for (const torrent of running) {
      const { idleSinceMs } = this.#awake.get(torrent.metainfo.infoHashHex)!;
      if (this.#isIdle(torrent) && !(longest !== null && longest.idleSinceMs <= idleSinceMs))
        longest = { torrent, idleSinceMs };
    }
    const sleepy = longest?.torrent ?? this.#longestUnused(running);
    if (sleepy === null) throw new Error(`${maxAwake} others are awake, and all are busy`);
    this.#putToSleep(sleepy);
  }

  /** Of those that go back to sleep, all that have a session: one that its owner has paused takes no place. */
  #running(): LiveTorrent[] {
    const all = [...this.#awake.keys()].map((infoHashHex) => this.#options.find(infoHashHex));
    return all.filter((torrent) => torrent !== null && !torrent.isStopping) as LiveTorrent[];
  }

  /** Connections that neither give nor take keep no torrent awake that another one could be instead. */
  #longestUnused(running: readonly LiveTorrent[]): LiveTorrent | null {
    let longest: LiveTorrent | null = null;
    let usedMs = this.#options.now() - LIMITS.idlePlaceMs;
    for (const torrent of running) {
      if (torrent.state !== 'seeding' || this.#admissions.has(torrent)) continue;
      const lastMs = (torrent.exchange?.peers ?? []).reduce((most, peer) => Math.max(most, peer?.activeMs ?? 0), 0);
      if (lastMs > usedMs) continue;
      usedMs = lastMs;
      longest = torrent;
    }
    return longest;
  }

  /**
   * Resolves when the torrent takes peers, with null when it ends before, or does not within the time of a handshake.
   */
  #admitting(torrent: LiveTorrent): Promise<LiveTorrent | null> {
    const { roster } = torrent;
    if (roster.isAdmitting || torrent.isStopping) return Promise.resolve(roster.isAdmitting ? torrent : null);
    const known = this.#admissions.get(torrent);
    if (known !== undefined) return known.answer;
    let resolve!: (found: LiveTorrent | null) => void;
    const answer = new Promise<LiveTorrent | null>((settle) => {
      resolve = settle;
    });
    const end = (): void => {
      unwatch();
      this.#admissions.delete(torrent);
      resolve(roster.isAdmitting ? torrent : null);
    };
    const look = (): void => {
      if (roster.isAdmitting || torrent.isStopping) end();
    };
    const unwatch = torrent.watchState(look);
    this.#admissions.set(torrent, { untilMs: this.#options.now() + LIMITS.handshakeTimeoutMs, answer, end });
    return answer;
  }
}

async function gone(torrent: LiveTorrent | null): Promise<void> {
  if (torrent?.isStopping === true) await torrent.stop();
}

function hexOf(key: string): string {
  return Buffer.from(key, 'latin1').toString('hex');
}

/** As 40 hexadecimal digits. @throws HaulError BAD_ARGUMENT */
export function infoHashKey(infoHash: Uint8Array | string): string {
  return hexOf(keyOf(infoHash));
}

/** @throws HaulError BAD_ARGUMENT */
function keyOf(infoHash: Uint8Array | string): string {
  const isText = typeof infoHash === 'string';
  const bytes = isText && !/^[0-9a-f]{40}$/i.test(infoHash) ? null : isText ? Buffer.from(infoHash, 'hex') : infoHash;
  if (!(bytes instanceof Uint8Array) || bytes.length !== 20)
    throw new HaulError('BAD_ARGUMENT', 'an info-hash is 20 bytes, or 40 hexadecimal digits', { option: 'infoHash' });
  return (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes)).toString('latin1');
}
