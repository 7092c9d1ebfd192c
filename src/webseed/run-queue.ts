/**
 * What is asked of a web seed and not yet fetched: ranges of the torrent, first come, first served. Blocks that follow
 * each other become one range, across pieces and files, so that one request of HTTP fetches them all. Pure.
 */

export interface Run {
  /** Torrent offsets. */
  begin: number;
  end: number;
}

export class RunQueue {
  #runs: Run[] = [];
  #bytes = 0;

  /** Of all that waits. */
  get bytes(): number {
    return this.#bytes;
  }

  get runs(): readonly Run[] {
    return this.#runs;
  }

  push(begin: number, end: number): void {
    this.#bytes += end - begin;
    const last = this.#runs.at(-1);
    if (last?.end === begin) last.end = end;
    else this.#runs.push({ begin, end });
  }

  has(offset: number): boolean {
    return this.#runs.some(({ begin, end }) => offset >= begin && offset < end);
  }

  /** Of all that waits the offset that is lowest; Infinity: nothing does. */
  get lowest(): number {
    return this.#runs.reduce((lowest, { begin }) => Math.min(lowest, begin), Number.POSITIVE_INFINITY);
  }

  /** Something waits at an offset or behind it. */
  hasFrom(offset: number): boolean {
    return this.#runs.some(({ end }) => offset < end);
  }

  /** What was taken and not fetched: next again. */
  giveBack(begin: number, end: number): void {
    if (end <= begin) return;
    this.#bytes += end - begin;
    const first = this.#runs[0];
    if (first?.begin === end) first.begin = begin;
    else this.#runs.unshift({ begin, end });
  }

  /**
   * The next range, or null. @param mostBytes it is cut at a block where it is longer
   * @param cut the last place in the range, at or before an offset, where it may be cut
   */
  take(mostBytes: number, cut: (offset: number) => number): Run | null {
    const first = this.#runs[0];
    if (first === undefined) return null;
    const at = first.end - first.begin <= mostBytes ? first.end : cut(first.begin + mostBytes);
    const end = at > first.begin ? at : first.end;
    const run = { begin: first.begin, end };
    this.#bytes -= end - first.begin;
    if (end === first.end) this.#runs.shift();
    else first.begin = end;
    return run;
  }

  /** Takes a range out again, where it still waits. */
  remove(begin: number, end: number): void {
    for (let index = 0; index < this.#runs.length; index++) {
      const run = this.#runs[index]!;
      if (end <= run.begin || begin >= run.end) continue;
      const parts = [
        { begin: run.begin, end: Math.max(run.begin, begin) },
        { begin: Math.min(run.end, end), end: run.end },
      ].filter((part) => part.end > part.begin);
      this.#bytes -= run.end - run.begin;
      for (const part of parts) this.#bytes += part.end - part.begin;
      this.#runs.splice(index, 1, ...parts);
      index += parts.length - 1;
    }
  }

  /** Takes all out that waits in another queue. */
  removeAll({ runs }: { readonly runs: readonly Run[] }): void {
    for (const { begin, end } of runs) this.remove(begin, end);
  }

  clear(): void {
    this.#runs = [];
    this.#bytes = 0;
  }
}
