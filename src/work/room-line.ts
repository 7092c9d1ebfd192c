/** Who waits for room in the pool: told once, in the order of coming, as long as there is some. */

interface Waiter {
  readonly listener: () => void;
}

export class RoomLine {
  readonly #waiting = new Set<Waiter>();

  /** Returns what leaves the line again. */
  join(listener: () => void): () => void {
    const waiter: Waiter = { listener };
    this.#waiting.add(waiter);
    return () => void this.#waiting.delete(waiter);
  }

  /** Who joins again in its turn stands behind everybody, until the next time. */
  announce(hasRoom: () => boolean): void {
    for (const waiter of [...this.#waiting]) {
      if (!hasRoom()) return;
      if (this.#waiting.delete(waiter)) tell(waiter);
    }
  }
}

function tell({ listener }: Waiter): void {
  try {
    listener();
  } catch (error) {
    // A broken invariant of one must crash, but not keep the others from hearing.
    queueMicrotask(() => {
      throw error;
    });
  }
}
