/**
 * The local network as a source of peers of one torrent: ours are announced every five minutes, every minute while
 * there are too few, and soon after somebody else announces theirs. Pure: it owns no timer and no socket.
 */
import type { AnnounceFigures } from '../discovery/announce.js';
import type { PeerSource, PeerSourceOwner } from '../discovery/source.js';
import { LSD_LIMITS } from './limits.js';
import type { Heard } from './neighbours.js';

export interface LsdSourceOptions {
  /** 20 bytes. */
  readonly infoHash: Buffer;
  readonly owner: PeerSourceOwner;
  readonly now: () => number;
  /** A generator of [0, 1). */
  readonly random: () => number;
  readonly network: {
    /** @returns what ends that */
    join(infoHash: Uint8Array, heard: Heard): () => void;
    announce(infoHash: Uint8Array): void;
  };
}

export class LsdSource implements PeerSource {
  readonly foundBy = 'lsd';
  readonly #options: LsdSourceOptions;
  #leave: (() => void) | null = null;
  #figures: (() => AnnounceFigures) | null = null;
  #announcedAtMs = Number.NEGATIVE_INFINITY;
  /** Somebody waits for an answer until then; Infinity: nobody does. */
  #answerAtMs = Number.POSITIVE_INFINITY;

  constructor(options: LsdSourceOptions) {
    this.#options = options;
  }

  start(nowMs: number, figures: () => AnnounceFigures): void {
    const { infoHash, owner, network } = this.#options;
    this.#figures = figures;
    this.#leave = network.join(infoHash, (peer) => {
      // Before the torrent is told: it is looked at again when it is.
      this.#plan();
      owner.onPeers([peer]);
    });
    this.tick(nowMs);
  }

  tick(nowMs: number): void {
    // First what costs nothing to know.
    if (nowMs < this.#dueAtMs(true) || nowMs < this.#dueAtMs(this.#figures?.().isHungry === true)) return;
    this.#announcedAtMs = nowMs;
    this.#answerAtMs = Number.POSITIVE_INFINITY;
    this.#options.network.announce(this.#options.infoHash);
  }

  /** Of a seed: it is not hungry. */
  get dueAtMs(): number {
    return this.#dueAtMs(false);
  }

  async stop(): Promise<void> {
    // There is nothing to say at the end: BEP 14 has no word for it.
    this.#leave?.();
    this.#leave = null;
    this.#figures = null;
  }

  #dueAtMs(isHungry: boolean): number {
    if (this.#figures === null) return Number.POSITIVE_INFINITY;
    const pauseMs = isHungry ? LSD_LIMITS.pauseMs : LSD_LIMITS.announceMs;
    return Math.min(this.#announcedAtMs + pauseMs, this.#answerAtMs);
  }

  /** Whoever announces has just come, as a rule, and has not heard of us; unless we have just announced too. */
  #plan(): void {
    const { now, random } = this.#options;
    const nowMs = now();
    if (this.#answerAtMs !== Number.POSITIVE_INFINITY || nowMs - this.#announcedAtMs < LSD_LIMITS.pauseMs) return;
    this.#answerAtMs = nowMs + random() * LSD_LIMITS.answerSpreadMs;
  }
}
