/**
 * What is noted beside blobs, kept as the rows are. Where a row changes before its note does, the change leaves a
 * mark in the catalogue, in the same batch; it goes when the note was written. A process that ends in between, or a
 * disk that takes no note, leaves the mark: the next start sees to it before anybody asks, and until then what is noted
 * under that name is not believed. Without it a note of long ago could bring back a name that was removed since.
 */
import { randomBytes } from 'node:crypto';
import { HaulError } from '../errors.js';
import type { BlobLock, Catalogue, NoteMark } from './catalogue/port.js';
import { rowToJson } from './catalogue/row.js';
import type { BlobStore } from './store/port.js';

const MARK_BYTES = 8;
const PAGE_MARKS = 1_000;
const SETTLED_AT_ONCE = 64;
/** Notes that failed are tried again by this process; those above it at the next start. */
const FAILED_MAX = 1_000;

export interface NotesParts {
  readonly store: Pick<BlobStore, 'note'>;
  readonly catalogue: Catalogue;
  locked<T>(sha256: string, body: (lock: BlobLock) => Promise<T>): Promise<T>;
}

export class Notes {
  readonly #parts: NotesParts;
  readonly #unmarking = new Set<Promise<void>>();
  #failed: NoteMark[] = [];

  constructor(parts: NotesParts) {
    this.#parts = parts;
  }

  /** For a change that begins. */
  mark(): string {
    return randomBytes(MARK_BYTES).toString('hex');
  }

  /**
   * Under the lock of the blob: what is noted is what the row is, and the mark goes.
   * @returns false: it could not be noted now, and stays marked. @throws HaulError of the catalogue
   */
  async settle(mark: NoteMark): Promise<boolean> {
    const { store, catalogue } = this.#parts;
    const row = await catalogue.get(mark.name);
    try {
      await store.note(mark.sha256, mark.name, row?.sha256 === mark.sha256 ? rowToJson(row) : null);
    } catch (error) {
      if (!HaulError.is(error)) throw error;
      if (this.#failed.length < FAILED_MAX) this.#failed.push(mark);
      return false;
    }
    this.unmark(mark);
    if (this.#failed.length > 0) this.#tryAgain();
    return true;
  }

  /** The note agrees, or went with its blob. Nobody waits: what is left marked is seen to once more. */
  unmark(mark: NoteMark): void {
    const done = this.#parts.catalogue.unmark([mark]).catch(() => {});
    this.#unmarking.add(done);
    void done.then(() => this.#unmarking.delete(done));
  }

  /** Names under which nothing that is noted beside this blob can be believed. */
  async marked(sha256: string): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for await (const page of pagesOf(this.#parts.catalogue, sha256)) for (const { name } of page) names.add(name);
    return names;
  }

  /** Sees to all that processes before left. What cannot be done now stays marked. */
  async settleAll(): Promise<void> {
    for await (const page of pagesOf(this.#parts.catalogue)) {
      for (let begin = 0; begin < page.length; begin += SETTLED_AT_ONCE) {
        await Promise.all(page.slice(begin, begin + SETTLED_AT_ONCE).map((mark) => this.#settleAlone(mark)));
      }
    }
  }

  async close(): Promise<void> {
    while (this.#unmarking.size > 0) await Promise.all(this.#unmarking);
  }

  async #settleAlone(mark: NoteMark): Promise<void> {
    try {
      await this.#parts.locked(mark.sha256, () => this.settle(mark));
    } catch (error) {
      if (!HaulError.is(error)) throw error;
    }
  }

  /** One could be written: those that could not may be now. */
  #tryAgain(): void {
    const failed = this.#failed;
    this.#failed = [];
    const done = Promise.all(failed.map((mark) => this.#settleAlone(mark))).then(
      () => {},
      () => {},
    );
    this.#unmarking.add(done);
    void done.then(() => this.#unmarking.delete(done));
  }
}

/** A page at a time. @param sha256 of this blob alone */
async function* pagesOf(catalogue: Pick<Catalogue, 'marks'>, sha256?: string): AsyncGenerator<readonly NoteMark[]> {
  const blob = sha256 === undefined ? {} : { sha256 };
  for (let after: NoteMark | null = null; ; ) {
    const page: readonly NoteMark[] = await catalogue.marks({ ...blob, after, limit: PAGE_MARKS });
    if (page.length > 0) yield page;
    if (page.length < PAGE_MARKS) return;
    after = page.at(-1)!;
  }
}

/** What processes before left, one after the other. @throws HaulError of the catalogue */
export async function* everyMark(catalogue: Pick<Catalogue, 'marks'>): AsyncGenerator<NoteMark> {
  for await (const page of pagesOf(catalogue)) yield* page;
}
