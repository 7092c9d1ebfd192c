/**
 * Sends the bytes of artifacts, slice by slice: the next is asked for when the kernel has taken the last one, so that a
 * slow reader holds one slice and no more. Who takes next to nothing is let go of. No address takes so many places that
 * none is left for others; where they are scarce all the same the slowest of whoever has most gives way.
 */
import type { ServerResponse } from 'node:http';
import type { RateGate } from '../../rates-api.js';
import { Allowance } from './allowance.js';
import { mayTake, ownOf } from './fair-places.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { Problem } from './problems.js';
import type { Slices } from './route.js';

interface Sending {
  readonly group: string;
  readonly response: ServerResponse;
  readonly beganMs: number;
  takenBytes: number;
  /** When the last part was taken, or the first was offered; without end while the reader waits for us. */
  takenMs: number;
  readonly taken: (bytes: number) => void;
  /** Null: there is no limit, and never will be. */
  readonly allowance: Allowance | null;
}

/** What is written at once at first, and to who is slow; a swift reader gets whole slices. */
const PART_BYTES = 256 * 1024;
const SWIFT_MS = 250;

export class Answers {
  readonly #sending = new Set<Sending>();
  readonly #now: () => number;
  readonly #gate: RateGate | null;

  /** @param gate what is sent passes it; null: there is no limit */
  constructor(now: () => number, gate: RateGate | null) {
    this.#now = now;
    this.#gate = gate;
  }

  get count(): number {
    return this.#sending.size;
  }

  /**
   * Resolves when all is sent, or nobody takes it any more.
   * @param writeHead called when the first bytes are there: what fails before is still a problem that can be told
   * @param taken told of bytes when the kernel has them: whoever has all of them may be gone before we go on
   * @throws what `slices` does before the head; Problem 503
   */
  async send(
    response: ServerResponse,
    slices: Slices,
    group: string,
    writeHead: () => void,
    taken: (bytes: number) => void = () => {},
  ): Promise<void> {
    if (!this.#makeRoom(group))
      throw new Problem(503, 'BUSY', 'too many downloads are under way', {
        'retry-after': String(DEPOT_HTTP_LIMITS.retrySeconds),
      });
    const nowMs = this.#now();
    const gate = this.#gate?.of(slices.share ?? '') ?? null;
    const allowance = gate === null ? null : new Allowance(gate, slices.lengthBytes);
    const begun = { group, response, beganMs: nowMs, takenBytes: 0, takenMs: Number.POSITIVE_INFINITY, taken };
    const sending = { ...begun, allowance };
    this.#sending.add(sending);
    try {
      await this.#sendAll(sending, slices, writeHead);
    } finally {
      this.#sending.delete(sending);
      allowance?.end();
    }
  }

  async #sendAll(sending: Sending, slices: Slices, writeHead: () => void): Promise<void> {
    const { response, allowance } = sending;
    let partBytes = PART_BYTES;
    for await (const slice of slices.open()) {
      if (!response.headersSent) writeHead();
      for (let at = 0; at < slice.length; ) {
        const held = allowance?.more(partBytes) ?? null;
        if (held !== null) {
          await this.#hold(sending, held);
          partBytes = PART_BYTES;
          if (response.destroyed) return;
        }
        const part = slice.subarray(at, at + Math.min(partBytes, allowance?.bytes ?? partBytes));
        const offeredMs = this.#now();
        if (at === 0 || held !== null) sending.takenMs = offeredMs;
        const written = write(response, part);
        allowance?.sent(part.length, partBytes);
        if (!(await written)) return;
        at += part.length;
        sending.takenBytes += part.length;
        sending.taken(part.length);
        sending.takenMs = this.#now();
        partBytes = sending.takenMs - offeredMs < SWIFT_MS ? partBytes * 2 : PART_BYTES;
      }
      // It is whole, and the reader may go: closing what it was read from takes its time.
      if (sending.takenBytes === slices.lengthBytes) response.end();
      sending.takenMs = Number.POSITIVE_INFINITY;
    }
    if (!response.headersSent) writeHead();
    if (sending.takenBytes < slices.lengthBytes) response.destroy();
    else if (!response.writableEnded) response.end();
  }

  /** Who waits for us is not slow. */
  async #hold(sending: Sending, held: Promise<void>): Promise<void> {
    const { response } = sending;
    sending.takenMs = Number.POSITIVE_INFINITY;
    // The client sees meanwhile that its answer is under way.
    response.flushHeaders();
    await unlessGone(response, held);
  }

  /** Once a second or so. */
  tick(): void {
    const untilMs = this.#now() - DEPOT_HTTP_LIMITS.answerIdleMs;
    for (const { response, takenMs } of this.#sending)
      if (takenMs <= untilMs && response.headersSent) response.destroy();
  }

  #makeRoom(group: string): boolean {
    const own = ownOf(this.#sending, group);
    if (mayTake(own, this.#sending.size, DEPOT_HTTP_LIMITS.answers)) return true;
    const slowest = this.#stuckOf(group) ?? this.#slowestOfMost(own);
    if (slowest === null) return false;
    slowest.response.destroy();
    this.#sending.delete(slowest);
    return true;
  }

  /** Of its own the one that has taken nothing for longest. */
  #stuckOf(group: string): Sending | null {
    let stuck: Sending | null = null;
    let untilMs = this.#now() - DEPOT_HTTP_LIMITS.answerStuckMs;
    for (const sending of this.#sending) {
      if (sending.group !== group || sending.takenMs > untilMs || !sending.response.headersSent) continue;
      stuck = sending;
      untilMs = sending.takenMs;
    }
    return stuck;
  }

  /** @param own places of who wants one */
  #slowestOfMost(own: number): Sending | null {
    if (own >= DEPOT_HTTP_LIMITS.answersPerAddress) return null;
    const counts = new Map<string, number>();
    for (const sending of this.#sending) counts.set(sending.group, (counts.get(sending.group) ?? 0) + 1);
    const most = Math.max(...counts.values());
    if (most <= own + 1) return null;
    const nowMs = this.#now();
    const [slowest] = [...this.#sending]
      .filter((sending) => counts.get(sending.group) === most)
      .filter(({ beganMs }) => nowMs - beganMs >= DEPOT_HTTP_LIMITS.answerIdleMs)
      .sort((a, b) => a.takenBytes / (nowMs - a.beganMs) - b.takenBytes / (nowMs - b.beganMs));
    return slowest ?? null;
  }
}

/** Resolves with it, or when the connection is gone. */
function unlessGone(response: ServerResponse, held: Promise<void>): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('close', done);
      resolve();
    };
    response.once('close', done);
    held.then(done);
  });
}

/** False: the connection is gone. */
function write(response: ServerResponse, slice: Uint8Array): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const gone = (): void => resolve(false);
    response.once('close', gone);
    response.write(slice, (error) => {
      response.off('close', gone);
      resolve(error === null || error === undefined);
    });
  });
}
