/** Workers that put and remove rows of a catalogue, each those of its own, beside whatever becomes of the server. */
import assert from 'node:assert/strict';
import type { PostgresCatalogue } from '../../src/depot/catalogue/postgres/postgres.js';
import { OVERWRITE, rowOf } from './catalogue-conformance.js';

const ROWS_EACH = 20;
const BLOBS = 30;

export class CatalogueLoad {
  /** Changes that were acknowledged. */
  done = 0;
  readonly #catalogue: PostgresCatalogue;
  readonly #random: () => number;
  /** By row what was acknowledged last; null: removed. */
  readonly #rows = new Map<string, string | null>();
  readonly #workers: Promise<unknown>;
  #isOver = false;

  constructor(catalogue: PostgresCatalogue, workers: number, random: () => number) {
    this.#catalogue = catalogue;
    this.#random = random;
    this.#workers = Promise.all(Array.from({ length: workers }, (_, worker) => this.#work(worker)));
    this.#workers.catch(() => {});
  }

  /** Rejects when a change fails. */
  get broken(): Promise<unknown> {
    return this.#workers;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#workers;
  }

  /** After `stop`: all that was acknowledged is there, and nothing else. */
  async check(): Promise<void> {
    for (const [row, blob] of this.#rows)
      assert.deepEqual(await this.#catalogue.get(row), blob === null ? null : rowOf(row, blob), row);
    assert.deepEqual(await this.#catalogue.audit(), []);
  }

  async #work(worker: number): Promise<void> {
    while (!this.#isOver) {
      const row = `artifacts/${worker}/${Math.floor(this.#random() * ROWS_EACH)}`;
      const blob = this.#random() < 0.7 ? `${Math.floor(this.#random() * BLOBS)}` : null;
      if (blob === null) await this.#catalogue.remove(row);
      else await this.#catalogue.put(rowOf(row, blob), OVERWRITE);
      this.#rows.set(row, blob);
      this.done++;
    }
  }
}
