/**
 * Commits in company: all that wait when one group is written are the next. A group is forced to the device at once, so
 * that many small files cost as much as one, and while it is, the next is written. Invariant: an entry resolves only
 * after a force that began after its files were written and named.
 *
 * In company a short file is named before its bytes are forced. After a crash of the machine it may hold anything: no
 * row names it, and it is hashed whenever it is read. Long ones are forced before they come here.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { HaulError } from '../../errors.js';
import { fromSystemError } from '../../errors.js';
import { isSupported } from '../../native/mmap-io.js';
import { forceFileSystem } from '../../storage/force.js';
import type { Outcome, SettledOutcome, Settlement, SmallFile } from '../disk-threads.js';
import { DEPOT_LIMITS } from '../limits.js';

/**
 * All of the file system is forced. It must be opened before what it forces is written: the kernel tells of each error
 * of the device once per open file, and one that was opened later, or that another group asks too, may not hear of it.
 */
export interface Force {
  /** False: there is no such call here. Rejects where the device refused. */
  all(): Promise<boolean>;
  close(): Promise<void>;
}

/** What it is done with; tests put their own steps between. */
export interface Hands {
  write(files: readonly SmallFile[], isForced: boolean): Promise<Outcome[]>;
  settle(settlements: readonly Settlement[], isForced: boolean): Promise<SettledOutcome[]>;
  remove(files: readonly string[]): Promise<void>;
  /** Null: there is no such way, files have to be forced one by one. */
  openForce(): Promise<Force | null>;
}

export interface Commit {
  /** Null: the file is there, and durable, under its temporary name. */
  readonly small: SmallFile | null;
  readonly settlement: Settlement;
  /** Told when a file of so many bytes lost its name to this one, whatever becomes of that. */
  readonly onReplaced?: (lengthBytes: number) => void;
}

interface Waiting {
  readonly commit: Commit;
  readonly resolve: (isRenamed: boolean) => void;
  readonly reject: (error: HaulError) => void;
}

const FOLDER_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY;
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
   * Resolves when it is durable; false: nothing was renamed, as the place held the bytes already.
   * @throws HaulError; the name that it got is taken away again then
   */
  commit(commit: Commit): Promise<boolean> {
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
    void this.#group(this.#waiting.splice(0, DEPOT_LIMITS.groupBlobs)).then(() => {
      this.#running--;
      this.#next();
      if (this.#running === 0) for (const done of this.#onIdle.splice(0)) done();
    });
  }

  async #group(group: readonly Waiting[]): Promise<void> {
    let force: Force | null = null;
    try {
      if (group.length >= FORCE_ALL_FROM && (await this.#forcesAll())) force = await this.#hands.openForce();
      const written = await this.#write(group, force === null);
      const settled = await this.#hands.settle(
        written.map(({ commit, isThere }) => {
          const { settlement } = commit;
          return isThere ? settlement : { ...settlement, rename: null };
        }),
        force === null,
      );
      await this.#tell(written, settled, force === null ? null : await refusalOf(force));
    } catch (error) {
      const failure = fromSystemError(error, 'commit to', 'the store');
      for (const { reject } of group) reject(failure);
    } finally {
      await force?.close().catch(() => {});
    }
  }

  /** What failed has no name any more when it is told. */
  async #tell(
    written: readonly Waiting[],
    settled: readonly SettledOutcome[],
    refusal: HaulError | null,
  ): Promise<void> {
    const failed: { readonly entry: Waiting; readonly failure: HaulError }[] = [];
    for (const [index, entry] of written.entries()) {
      const { replacedBytes, failure } = settled[index]!;
      if (replacedBytes !== null) entry.commit.onReplaced?.(replacedBytes);
      const trouble = failure ?? refusal;
      if (trouble === null) entry.resolve(replacedBytes !== null);
      else failed.push({ entry, failure: trouble });
    }
    if (failed.length === 0) return;
    const leftovers = failed.flatMap(({ entry }) => leftoversOf(entry.commit, settled[written.indexOf(entry)]!));
    await this.#hands.remove(leftovers).catch(() => {});
    for (const { entry, failure } of failed) entry.reject(failure);
  }

  /** Whether the file system can be forced as a whole: tried once. */
  async #forcesAll(): Promise<boolean> {
    if (this.#canForceAll !== null) return this.#canForceAll;
    const force = await this.#hands.openForce();
    try {
      this.#canForceAll = force !== null && (await force.all());
    } finally {
      await force?.close();
    }
    return this.#canForceAll;
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
}

/** Null: all is on the device. */
async function refusalOf(force: Force): Promise<HaulError | null> {
  try {
    if (await force.all()) return null;
    throw new Error('the file system cannot be forced any more');
  } catch (error) {
    return fromSystemError(error, 'commit to', 'the store');
  }
}

/** Files of one that failed. Its bytes may be lost on the way to the device, whatever can be read of them now. */
function leftoversOf({ small, settlement }: Commit, { replacedBytes }: SettledOutcome): string[] {
  const { rename, beside } = settlement;
  const temporaries = [small?.temporary, beside?.temporary];
  const named = rename === null || replacedBytes === null ? [] : [rename.to, beside?.place];
  return [...temporaries, ...named].filter((file) => file !== undefined);
}

/** Null: there is no syncfs here. */
export async function openForce(root: string): Promise<Force | null> {
  if (!isSupported()) return null;
  const handle = await open(root, FOLDER_FLAGS);
  return { all: () => forceFileSystem(handle.fd), close: () => handle.close() };
}
