/**
 * Queries that wait for an answer. Pure. An answer counts only with the transaction that was sent, which is random, and
 * from the very address that was asked: who does not see our datagrams cannot answer them.
 */

import { type Address, formatAddress } from '../net/address.js';
import { DHT_LIMITS } from './limits.js';
import type { Reply } from './messages.js';

const TRANSACTION_BYTES = 4;

export interface Pending {
  readonly address: Address;
  readonly onReply: (reply: Reply) => void;
  /** No answer, or an error. */
  readonly onFailure: () => void;
}

interface Waiting extends Pending {
  readonly key: string;
  readonly deadlineMs: number;
}

export class Transactions {
  readonly #randomBytes: (count: number) => Uint8Array;
  /** Oldest first: all wait for as long. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #hosts = new Map<string, number>();

  constructor(randomBytes: (count: number) => Uint8Array) {
    this.#randomBytes = randomBytes;
  }

  get count(): number {
    return this.#waiting.size;
  }

  /** Null: too many wait. */
  begin(pending: Pending, nowMs: number): Buffer | null {
    if (this.#waiting.size >= DHT_LIMITS.queriesUnderWay) return null;
    let transaction: Buffer;
    do transaction = Buffer.from(this.#randomBytes(TRANSACTION_BYTES));
    while (this.#waiting.has(transaction.toString('latin1')));
    const { address } = pending;
    const deadlineMs = nowMs + DHT_LIMITS.answerTimeoutMs;
    this.#waiting.set(transaction.toString('latin1'), { ...pending, key: formatAddress(address), deadlineMs });
    this.#hosts.set(address.host, (this.#hosts.get(address.host) ?? 0) + 1);
    return transaction;
  }

  /** Whether something of this host is waited for: what it sends is worth reading. */
  expects(host: string): boolean {
    return this.#hosts.has(host);
  }

  /** Whose answer this is; it waits no more. Null: nobody's. */
  take(transaction: Buffer, from: Address): Pending | null {
    const name = transaction.toString('latin1');
    const waiting = this.#waiting.get(name);
    if (waiting === undefined || waiting.key !== formatAddress(from)) return null;
    this.#forget(name, waiting);
    return waiting;
  }

  /** Fails those that waited for too long. */
  tick(nowMs: number): void {
    for (const [name, waiting] of this.#waiting) {
      if (waiting.deadlineMs > nowMs) return;
      this.#forget(name, waiting);
      waiting.onFailure();
    }
  }

  #forget(name: string, { address }: Waiting): void {
    this.#waiting.delete(name);
    const count = this.#hosts.get(address.host)! - 1;
    if (count === 0) this.#hosts.delete(address.host);
    else this.#hosts.set(address.host, count);
  }
}
