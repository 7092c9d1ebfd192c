/**
 * Open descriptors of a torrent's files: at most so many, the least recently used is closed first. A torrent may have
 * 30,000 files. Opening is asynchronous: on a network file system it takes milliseconds.
 * Invariant: a descriptor with holders stays open; waiters are served in order, each gets all its files at once or
 * waits.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../errors.js';
import { FileBudget, type FileHolder } from './file-budget.js';
import { whenRoom } from './patience.js';

/** What a table shrinks to when descriptors are short. */
const OPEN_FILES_AT_LEAST = 4;

interface Entry {
  readonly handle: Promise<FileHandle>;
  holders: number;
  /** A failed open is not remembered: the file may be there the next time. */
  hasFailed: boolean;
}

export interface DescriptorOptions {
  readonly forWriting: boolean;
  readonly limit?: number;
  /** Of the engine; default: one of its own. */
  readonly budget?: FileBudget;
  /** Called with every file that was opened, also again. @throws when it is not the file it was */
  readonly check?: (file: number, fd: number) => void;
}

export class Descriptors implements FileHolder {
  readonly #budget: FileBudget;
  readonly #path: (file: number) => string;
  readonly #flags: number;
  readonly #check: (file: number, fd: number) => void;
  /** Halved when the process has no descriptors left. */
  #limit: number;
  /** By file, in order of use. */
  readonly #entries = new Map<number, Entry>();
  readonly #waiting: { readonly count: number; readonly go: () => void }[] = [];
  #heldCount = 0;
  #isClosed = false;

  constructor(path: (file: number) => string, options: DescriptorOptions) {
    this.#path = path;
    this.#check = options.check ?? (() => {});
    // Somebody may have put a pipe there: opening it for reading would wait for a writer, for ever.
    this.#flags =
      (options.forWriting ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    this.#budget = options.budget ?? new FileBudget();
    this.#limit = options.limit ?? this.#budget.ofOne;
  }

  get openCount(): number {
    return this.#entries.size;
  }

  /** Opens the files, each named once, and holds them until `release`. @throws HaulError, then nothing is held */
  async acquire(files: readonly number[]): Promise<number[]> {
    await this.#takeRoom(files.length);
    const fds: number[] = [];
    for (const file of files) this.#hold(file);
    try {
      for (const file of files) fds.push(await this.#fdOf(file));
    } catch (error) {
      this.release(files);
      throw error;
    }
    return fds;
  }

  release(files: readonly number[]): void {
    for (const file of files) {
      const entry = this.#entries.get(file);
      if (entry === undefined) throw new Error(`release of file ${file}, which is not held`);
      if (--entry.holders === 0 && entry.hasFailed) this.#forget(file);
    }
    this.#heldCount -= files.length;
    this.#budget.held(-files.length);
    this.closeIdle(Math.max(this.#entries.size - this.#limit, this.#budget.excess));
    this.#wake();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    this.#budget.closed(this, entries.length);
    await Promise.all(entries.map((entry) => entry.handle.then((handle) => handle.close()).catch(() => {})));
  }

  /** More files than the limit are let through alone: a piece is one job. */
  async #takeRoom(count: number): Promise<void> {
    if (this.#isClosed) throw new HaulError('CLOSED', 'the files are closed');
    if (this.#waiting.length > 0 || !this.#hasRoom(count)) {
      await new Promise<void>((go) => this.#waiting.push({ count, go }));
    } else this.#take(count);
  }

  /** Whoever waits has some in use, and goes on when those are given back. */
  #hasRoom(count: number): boolean {
    if (this.#heldCount === 0) return true;
    return this.#heldCount + count <= this.#limit && this.#budget.hasRoomToHold(count);
  }

  #take(count: number): void {
    this.#heldCount += count;
    this.#budget.held(count);
  }

  #wake(): void {
    while (this.#waiting.length > 0) {
      const { count, go } = this.#waiting[0]!;
      if (!this.#hasRoom(count)) return;
      this.#waiting.shift();
      this.#take(count);
      go();
    }
  }

  #hold(file: number): void {
    const known = this.#entries.get(file);
    const entry = known ?? this.#open(file);
    entry.holders++;
    this.#entries.delete(file);
    this.#entries.set(file, entry);
    if (known === undefined) this.#budget.opening(this);
  }

  #open(file: number): Entry {
    const entry: Entry = { handle: this.#openChecked(file), holders: 0, hasFailed: false };
    // Reported where it is awaited, which is after this, or nowhere: who wanted it may have failed at another file.
    entry.handle.catch(() => {
      entry.hasFailed = true;
      if (entry.holders === 0 && this.#entries.get(file) === entry) this.#forget(file);
    });
    return entry;
  }

  async #openChecked(file: number): Promise<FileHandle> {
    const handle = await whenRoom(
      () => open(this.#path(file), this.#flags),
      () => {
        this.#limit = Math.max(OPEN_FILES_AT_LEAST, Math.floor(Math.min(this.#limit, this.#entries.size) / 2));
        this.#budget.shrink();
        this.closeIdle(this.#entries.size - this.#limit);
      },
    );
    try {
      this.#check(file, handle.fd);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #fdOf(file: number): Promise<number> {
    const entry = this.#entries.get(file)!;
    try {
      return (await entry.handle).fd;
    } catch (error) {
      throw fromSystemError(error, 'open', this.#path(file));
    }
  }

  /** `FileHolder` */
  closeIdle(count: number): void {
    let left = count;
    for (const [file, entry] of this.#entries) {
      if (left <= 0) return;
      if (entry.holders > 0) continue;
      this.#forget(file);
      entry.handle.then((handle) => handle.close()).catch(() => {});
      left--;
    }
  }

  #forget(file: number): void {
    this.#entries.delete(file);
    this.#budget.closed(this, 1);
  }
}
