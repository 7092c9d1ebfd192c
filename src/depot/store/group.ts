/**
 * Commits in company: all that wait when one group is written are the next. A group is forced to the device at once, so
 * that many small files cost as much as one, and while it is, the next is written. Invariant: an entry resolves only
 * after a force that began after its files were written and named.
 *
 * In company a short file is named before its bytes are forced. After a crash of the machine it may hold anything: no
 * row names it, and it is hashed whenever it is read. Long ones are forced before they come here.
 */
import type { HaulError } from '../../errors.js';
import { fromSystemError } from '../../errors.js';
import type { Outcome, Settlement, SmallFile } from '../disk-threads.js';

/** What it is done with; tests put their own steps between. */
export interface Hands {
  write(files: readonly SmallFile[], isForced: boolean): Promise<Outcome[]>;
  settle(settlements: readonly Settlement[], isForced: boolean): Promise<Outcome[]>;
  /** All of the file system. False: there is no such way, files have to be forced one by one. */
  forceAll(): Promise<boolean>;
}

export interface Commit {
  /** Null: the file is there, and durable, under its temporary name. */
  readonly small: SmallFile | null;
  readonly settlement: Settlement;
}

interface Waiting {
  readonly commit: Commit;
  readonly resolve: (replacedBytes: number | null) => void;
  readonly reject: (error: HaulError) => void;
}

const GROUP_MAX = 512;
const GROUPS_AT_ONCE = 2;
/** From this many on one force of the file system costs less than one for each. */
const FORCE_ALL_FROM = 3;

export class GroupCommit {
  readonly #hands: Hands;
  #waiting: Waiting[] = [];
  /** Groups under way. */
  #running = 0;
  #onIdle: (() => void)[] = [];
  /** Null: nobody has tried. */
  #canForceAll: boolean | null = null;

  constructor(hands: Hands) {
    this.#hands = hands;
  }

  /**
   * Resolves when it is durable, with the length of what had the name before; null: nothing was renamed, as the place
   * held the bytes already. @throws HaulError
   */
  commit(commit: Commit): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ commit, resolve, reject });
      // What comes in the same turn goes along.
      queueMicrotask(() => this.#next());
    });
  }

  async idle(): Promise<void> {
    while (this.#running > 0 || this.#waiting.length > 0) await new Promise<void>((done) => this.#onIdle.push(done));
  }

  #next(): void {
    if (this.#waiting.length === 0 || this.#running >= GROUPS_AT_ONCE) return;
    this.#running++;
    void this.#group(this.#waiting.splice(0, GROUP_MAX)).then(() => {
      this.#running--;
      this.#next();
      if (this.#running === 0) for (const done of this.#onIdle.splice(0)) done();
    });
  }

  async #group(group: readonly Waiting[]): Promise<void> {
    try {
      if (group.length >= FORCE_ALL_FROM) this.#canForceAll ??= await this.#hands.forceAll();
      const isForced = this.#canForceAll !== true || group.length < FORCE_ALL_FROM;
      const written = await this.#write(group, isForced);
      const settled = await this.#hands.settle(
        written.map(({ commit, isThere }) => {
          const { settlement } = commit;
          return isThere ? settlement : { ...settlement, rename: null };
        }),
        isForced,
      );
      if (!isForced) await this.#force();
      for (const [index, { resolve, reject }] of written.entries()) {
        const outcome = settled[index]!;
        if ('failure' in outcome) reject(outcome.failure);
        else resolve(outcome.value as number | null);
      }
    } catch (error) {
      const failure = fromSystemError(error, 'commit to', 'the store');
      for (const { reject } of group) reject(failure);
    }
  }

  /** Those that are written, and whether there is something to be renamed. */
  async #write(group: readonly Waiting[], isForced: boolean): Promise<(Waiting & { readonly isThere: boolean })[]> {
    const small = group.filter(({ commit }) => commit.small !== null);
    if (small.length === 0) return group.map((entry) => ({ ...entry, isThere: true }));
    const outcomes = await this.#hands.write(
      small.map(({ commit }) => commit.small!),
      isForced,
    );
    const byEntry = new Map(small.map((entry, index) => [entry, outcomes[index]!]));
    return group.flatMap((entry) => {
      const outcome = byEntry.get(entry);
      if (outcome === undefined) return { ...entry, isThere: true };
      if ('failure' in outcome) {
        entry.reject(outcome.failure);
        return [];
      }
      return { ...entry, isThere: outcome.value === true };
    });
  }

  /** @throws where the device refused */
  async #force(): Promise<void> {
    if (!(await this.#hands.forceAll())) throw new Error('the file system cannot be forced any more');
  }
}
