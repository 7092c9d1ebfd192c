/**
 * Accepted connections whose handshake has not come: who must leave when they are too many. Nobody is refused for
 * coming in a crowd, for a whole fleet may come at once; whoever is silent for longest makes room, of the address that
 * has most.
 */
import { LIMITS } from '../config.js';
import { groupOf } from '../net/remote-group.js';

interface Waiting {
  readonly host: string;
  readonly startedMs: number;
}

export class WaitingRoom<W extends Waiting> {
  /** By address (IPv6: by /64), oldest first. */
  readonly #groups = new Map<string, Set<W>>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  enter(waiting: W): void {
    const key = groupOf(waiting.host);
    const group = this.#groups.get(key) ?? new Set();
    this.#groups.set(key, group);
    group.add(waiting);
    this.#count++;
  }

  leave(waiting: W): void {
    const key = groupOf(waiting.host);
    const group = this.#groups.get(key);
    if (group === undefined || !group.delete(waiting)) return;
    this.#count--;
    if (group.size === 0) this.#groups.delete(key);
  }

  /**
   * Who has to leave now that another one of this address came; null: nobody is over a limit, or silent for long
   * enough.
   */
  overdue(host: string, nowMs: number): W | null {
    const own = this.#groups.get(groupOf(host));
    if (own !== undefined && own.size > LIMITS.handshakesPerAddress) return silentIn(own, nowMs);
    return this.#count > LIMITS.handshakesPending ? silentIn(this.#largest(), nowMs) : null;
  }

  /** Who has been here for longest, of the address that has most. */
  longest(): W | null {
    const [oldest] = this.#largest() ?? [];
    return oldest ?? null;
  }

  #largest(): Set<W> | undefined {
    let largest: Set<W> | undefined;
    for (const group of this.#groups.values()) if (largest === undefined || group.size > largest.size) largest = group;
    return largest;
  }
}

function silentIn<W extends Waiting>(group: Set<W> | undefined, nowMs: number): W | null {
  const [oldest] = group ?? [];
  return oldest !== undefined && nowMs - oldest.startedMs > LIMITS.silentHandshakeMs ? oldest : null;
}
