/**
 * Open files of all torrents of an engine: the process may have so many (`RLIMIT_NOFILE`), and what no torrent uses now
 * makes room for another. Files in use are never closed.
 */
import { openFilesLimit, shareOpenFiles } from '../native/open-files.js';

/** More than any piece of an ordinary torrent touches; fewer where `ulimit -n` is low. */
const FILES_OF_ONE = 256;
/** What the budget shrinks to when descriptors are short. */
const FILES_AT_LEAST = 4;

export interface FileHolder {
  readonly openCount: number;
  /** Closes what nobody uses, least recently used first, until so many are gone or there is no more. */
  closeIdle(count: number): void;
}

/** Files that one engine may have open, and one torrent of it. */
export interface FileLimits {
  readonly all: number;
  readonly ofOne: number;
}

/** Most of what is left over is for connections. @param limit files the process may have open; Infinity: not known */
export function fileLimits(limit = openFilesLimit()): FileLimits {
  const shared = (files: number): number => shareOpenFiles(limit, { connections: 0, threads: 1, files }).files;
  return { all: shared(Number.MAX_SAFE_INTEGER), ofOne: shared(FILES_OF_ONE) };
}

export class FileBudget {
  readonly ofOne: number;
  #limit: number;
  readonly #holders = new Set<FileHolder>();
  #count = 0;
  /** In use. */
  #heldCount = 0;

  constructor({ all, ofOne }: FileLimits = fileLimits()) {
    this.#limit = all;
    this.ofOne = ofOne;
  }

  get count(): number {
    return this.#count;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Open ones above the bound: those in use were more. */
  get excess(): number {
    return this.#count - this.#limit;
  }

  /** One more is about to be opened: at the bound idle ones are closed, first of who opened none for longest. */
  opening(one: FileHolder): void {
    this.#count++;
    this.#holders.delete(one);
    this.#holders.add(one);
    this.#trim();
  }

  closed(one: FileHolder, count: number): void {
    this.#count -= count;
    if (one.openCount === 0) this.#holders.delete(one);
  }

  /** Whether so many more may be in use; who has none in use may in any case. */
  hasRoomToHold(count: number): boolean {
    return this.#heldCount + count <= this.#limit;
  }

  /** So many more are in use or, below zero, fewer. */
  held(count: number): void {
    this.#heldCount += count;
  }

  /** The process has no descriptor left, whoever took them: from now on half of what there is has to do. */
  shrink(): void {
    this.#limit = Math.max(FILES_AT_LEAST, Math.floor(Math.min(this.#limit, this.#count) / 2));
    this.#trim();
  }

  #trim(): void {
    for (const holder of [...this.#holders]) {
      if (this.excess <= 0) return;
      holder.closeIdle(this.excess);
    }
  }
}
