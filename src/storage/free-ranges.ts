/**
 * Free parts of one stretch of memory, by address: warm ones have pages, cold ones have none. Pure state.
 * Invariant: ranges do not overlap; neighbours of one kind are one range.
 */

interface Range {
  readonly begin: number;
  readonly end: number;
  readonly isWarm: boolean;
}

export class FreeRanges {
  #ranges: Range[];
  #warmBytes = 0;

  constructor(lengthBytes: number) {
    this.#ranges = [{ begin: 0, end: lengthBytes, isWarm: false }];
  }

  get warmBytes(): number {
    return this.#warmBytes;
  }

  /**
   * The first stretch that is long enough: with `isWarm` of warm memory alone, else of whatever lies side by side.
   * `warmBytes` of it have pages. Null: there is none.
   */
  take(lengthBytes: number, isWarm: boolean): { begin: number; warmBytes: number } | null {
    let first = 0;
    for (let at = 0; at < this.#ranges.length; at++) {
      const range = this.#ranges[at]!;
      if (isWarm && !range.isWarm) first = at + 1;
      else if (isWarm || (at > 0 && this.#ranges[at - 1]!.end !== range.begin)) first = at;
      if (first > at || range.end - this.#ranges[first]!.begin < lengthBytes) continue;
      return { begin: this.#ranges[first]!.begin, warmBytes: this.#cut(first, at, lengthBytes) };
    }
    return null;
  }

  /** Of the last warm range, as much as is there and is wanted. Null: nothing is warm. */
  takeWarm(mostBytes: number): { begin: number; lengthBytes: number } | null {
    const at = this.#ranges.findLastIndex((range) => range.isWarm);
    if (at < 0) return null;
    const { begin, end } = this.#ranges[at]!;
    const lengthBytes = Math.min(mostBytes, end - begin);
    this.#warmBytes -= lengthBytes;
    this.#ranges.splice(at, 1, ...(lengthBytes < end - begin ? [{ begin, end: end - lengthBytes, isWarm: true }] : []));
    return { begin: end - lengthBytes, lengthBytes };
  }

  give(begin: number, lengthBytes: number, isWarm: boolean): void {
    const end = begin + lengthBytes;
    let at = this.#ranges.findIndex((range) => range.begin >= end);
    if (at < 0) at = this.#ranges.length;
    if (isWarm) this.#warmBytes += lengthBytes;
    const before = this.#ranges[at - 1];
    const after = this.#ranges[at];
    const joinsBefore = before !== undefined && before.end === begin && before.isWarm === isWarm;
    const joinsAfter = after !== undefined && after.begin === end && after.isWarm === isWarm;
    const whole = { begin: joinsBefore ? before.begin : begin, end: joinsAfter ? after.end : end, isWarm };
    this.#ranges.splice(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), whole);
  }

  /** Takes the first so many bytes of these ranges out. Returns how many of them are warm. */
  #cut(first: number, last: number, lengthBytes: number): number {
    const { begin } = this.#ranges[first]!;
    const end = begin + lengthBytes;
    let warmBytes = 0;
    for (let at = first; at <= last; at++) {
      const range = this.#ranges[at]!;
      if (range.isWarm) warmBytes += Math.min(end, range.end) - range.begin;
    }
    const tail = this.#ranges[last]!;
    const rest = tail.end > end ? [{ begin: end, end: tail.end, isWarm: tail.isWarm }] : [];
    this.#ranges.splice(first, last - first + 1, ...rest);
    this.#warmBytes -= warmBytes;
    return warmBytes;
  }
}
