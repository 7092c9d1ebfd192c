/** Receipts: where the bytes of one answer came from, and how long it took. The latest are kept. */
import type { AgentReceipt } from './api.js';
import { Deferred } from './fetch.js';
import { AGENT_LIMITS } from './limits.js';

export class Receipts {
  readonly #receipts = new Map<string, AgentReceipt>();
  /** Of answers under way. */
  readonly #open = new Map<string, Deferred<void>>();
  #next = 1;
  #count = 0;
  readonly #prefix: string;
  onReceipt: (receipt: AgentReceipt) => void = () => {};

  /** @param prefix of ids: those of another run of the agent are others */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The answer begins: who asks for its receipt waits for its end, a moment. */
  begin(id: string): void {
    this.#open.set(id, new Deferred());
  }

  /** As `get`, but of one that is just ending, too. */
  async soon(id: string): Promise<AgentReceipt | null> {
    const open = this.#open.get(id);
    if (open === undefined) return this.get(id);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, AGENT_LIMITS.receiptMs);
    });
    await Promise.race([open.promise, late]);
    clearTimeout(timer);
    return this.get(id);
  }

  newId(): string {
    return `${this.#prefix}-${this.#next++}`;
  }

  add(receipt: AgentReceipt): void {
    const open = this.#open.get(receipt.id);
    this.#open.delete(receipt.id);
    this.#count++;
    this.#receipts.set(receipt.id, receipt);
    if (this.#receipts.size > AGENT_LIMITS.receipts) this.#receipts.delete(this.#receipts.keys().next().value!);
    this.onReceipt(receipt);
    open?.resolve();
  }

  /** Since the start. */
  get count(): number {
    return this.#count;
  }

  get(id: string): AgentReceipt | null {
    return this.#receipts.get(id) ?? null;
  }

  /** The latest first. */
  latest(count: number): AgentReceipt[] {
    return [...this.#receipts.values()].slice(-count).reverse();
  }
}
