/**
 * Collects links that have something to send and flushes each once per turn of the event loop:
 * every socket that was readable has been read by then, so one write carries a tick's requests, HAVEs and blocks.
 */

export interface Flushable {
  flush(): void;
}

export class Flusher {
  #dirty: Flushable[] = [];
  #spare: Flushable[] = [];
  #isScheduled = false;
  readonly #run = (): void => this.#flushAll();

  add(link: Flushable): void {
    this.#dirty.push(link);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#run);
  }

  #flushAll(): void {
    this.#isScheduled = false;
    const links = this.#dirty;
    this.#dirty = this.#spare;
    for (const link of links) link.flush();
    links.length = 0;
    this.#spare = links;
  }
}
