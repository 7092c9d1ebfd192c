/**
 * Virtual time: a heap of events, ordered by time and, at equal times, by the order in which they were scheduled. An
 * event is a kind and two integers, so that millions of them allocate nothing. Every event goes into a hash: equal
 * seeds must give equal hashes.
 */

export type Handler = (a: number, b: number) => void;

const FIRST_CAPACITY = 1024;

export class Events {
  nowMs = 0;
  /** Events that happened. */
  count = 0;
  #size = 0;
  #sequence = 0;
  #times = new Float64Array(FIRST_CAPACITY);
  #order = new Float64Array(FIRST_CAPACITY);
  #kinds = new Int32Array(FIRST_CAPACITY);
  #a = new Int32Array(FIRST_CAPACITY);
  #b = new Int32Array(FIRST_CAPACITY);
  #hash1 = 0x811c9dc5;
  #hash2 = 0x01000193;
  readonly #handlers: Handler[] = [];
  readonly #calls: (() => void)[] = [];
  readonly #freeCalls: number[] = [];
  readonly #callKind: number;

  constructor() {
    this.#callKind = this.kind((index) => {
      const call = this.#calls[index]!;
      this.#calls[index] = nothing;
      this.#freeCalls.push(index);
      call();
    });
  }

  /** Registers a kind of event. */
  kind(handler: Handler): number {
    return this.#handlers.push(handler) - 1;
  }

  get pending(): number {
    return this.#size;
  }

  /** 64 bits over the times, kinds and arguments of all events so far, as 16 hexadecimal digits. */
  get hash(): string {
    const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
    return hex(this.#hash1) + hex(this.#hash2);
  }

  /** Something that happened inside an event and must be the same in every run. */
  note(value: number): void {
    this.#hash1 = Math.imul(this.#hash1 ^ value, 0x01000193);
    this.#hash2 = (Math.imul(this.#hash2, 0x9e3779b1) + value) | 0;
  }

  at(timeMs: number, kind: number, a = 0, b = 0): void {
    if (!(timeMs >= this.nowMs)) throw new RangeError(`an event at ${timeMs}, before ${this.nowMs}`);
    if (this.#size === this.#times.length) this.#grow();
    this.#place(this.#climb(this.#size++, timeMs, this.#sequence), timeMs, this.#sequence, kind, a, b);
    this.#sequence++;
  }

  /** For what is rare. */
  callAt(timeMs: number, call: () => void): void {
    const index = this.#freeCalls.pop() ?? this.#calls.length;
    this.#calls[index] = call;
    this.at(timeMs, this.#callKind, index);
  }

  /** Lets the next event happen; false when there is none. */
  step(): boolean {
    if (this.#size === 0) return false;
    const timeMs = this.#times[0]!;
    const kind = this.#kinds[0]!;
    const a = this.#a[0]!;
    const b = this.#b[0]!;
    this.#dropFirst();
    this.nowMs = timeMs;
    this.count++;
    this.note(Math.floor(timeMs * 1024));
    this.note(kind);
    this.note(a);
    this.note(b);
    this.#handlers[kind]!(a, b);
    return true;
  }

  #isBefore(timeMs: number, order: number, at: number): boolean {
    const other = this.#times[at]!;
    return timeMs < other || (timeMs === other && order < this.#order[at]!);
  }

  /** Moves parents down until an entry of this rank fits; returns its place. */
  #climb(at: number, timeMs: number, order: number): number {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(timeMs, order, parent)) break;
      this.#copy(parent, at);
      at = parent;
    }
    return at;
  }

  #dropFirst(): void {
    const last = --this.#size;
    if (last === 0) return;
    const timeMs = this.#times[last]!;
    const order = this.#order[last]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      const right = child + 1;
      if (right < last && this.#isBefore(this.#times[right]!, this.#order[right]!, child)) child = right;
      if (this.#isBefore(timeMs, order, child)) break;
      this.#copy(child, at);
      at = child;
    }
    this.#copy(last, at);
  }

  #copy(from: number, to: number): void {
    this.#place(to, this.#times[from]!, this.#order[from]!, this.#kinds[from]!, this.#a[from]!, this.#b[from]!);
  }

  #place(at: number, timeMs: number, order: number, kind: number, a: number, b: number): void {
    this.#times[at] = timeMs;
    this.#order[at] = order;
    this.#kinds[at] = kind;
    this.#a[at] = a;
    this.#b[at] = b;
  }

  #grow(): void {
    const capacity = this.#times.length * 2;
    const longer = <T extends Float64Array | Int32Array>(table: T): T => {
      const copy = new (table.constructor as new (length: number) => T)(capacity);
      copy.set(table);
      return copy;
    };
    this.#times = longer(this.#times);
    this.#order = longer(this.#order);
    this.#kinds = longer(this.#kinds);
    this.#a = longer(this.#a);
    this.#b = longer(this.#b);
  }
}

function nothing(): void {}
