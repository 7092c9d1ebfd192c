/**
 * Keeps the routing table good (BEP 5): joins, asks who was not heard of for long, and looks through buckets in which
 * nothing happened. Pure. One of each in a second at most.
 */
import { DHT_LIMITS } from './limits.js';
import type { Lookup } from './lookup.js';
import type { NodeContact } from './messages.js';
import { idAtDistance } from './node-id.js';
import type { RoutingTable } from './routing-table.js';

const STEP_MS = 1_000;
/** Between two tries to join while we know nobody: doubled each time. */
const JOIN_FIRST_MS = 2_000;
const JOIN_LAST_MS = 5 * 60_000;

export interface UpkeepOptions {
  readonly table: RoutingTable;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly find: (target: Buffer, onDone: (lookup: Lookup) => void) => void;
  /** False: not now. */
  readonly ping: (node: NodeContact) => boolean;
  /** Whether there is anybody to ask. */
  readonly canJoin: () => boolean;
}

export class Upkeep {
  readonly #options: UpkeepOptions;
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #joinAtMs = Number.NEGATIVE_INFINITY;
  #joinPauseMs = JOIN_FIRST_MS;
  #isLooking = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  tick(nowMs: number): void {
    if (nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + STEP_MS;
    const { table, ping, canJoin } = this.#options;
    const quietSinceMs = nowMs - DHT_LIMITS.quietMs;
    // Its failure or its answer changes when it was heard of; until then it is not asked again.
    const stalest = table.stalest(quietSinceMs);
    if (stalest !== null && ping(stalest)) stalest.heardAtMs = nowMs - DHT_LIMITS.quietMs + DHT_LIMITS.answerTimeoutMs;
    if (this.#isLooking) return;
    // Also later: who has come into our neighbourhood is to be known.
    if (nowMs >= this.#joinAtMs) {
      if (canJoin() || table.size > 0) this.#join(nowMs);
      return;
    }
    const bits = table.quietBucket(quietSinceMs);
    if (bits !== null) this.#look(idAtDistance(table.ownId, bits, this.#options.randomBytes));
  }

  #join(nowMs: number): void {
    const { table } = this.#options;
    if (table.size >= DHT_LIMITS.bucketNodes) this.#joinPauseMs = DHT_LIMITS.quietMs;
    else if (table.size > 0) this.#joinPauseMs = JOIN_LAST_MS;
    else this.#joinPauseMs = Math.min(JOIN_LAST_MS, this.#joinPauseMs * 2);
    this.#joinAtMs = nowMs + this.#joinPauseMs;
    this.#look(table.ownId);
  }

  #look(target: Buffer): void {
    this.#isLooking = true;
    this.#options.find(target, () => {
      this.#isLooking = false;
    });
  }
}
