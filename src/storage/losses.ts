/**
 * Tells that mapped memory of one storage was lost: a file was cut off, and where its bytes were are zeros now that the
 * SIGBUS guard put there. Looking costs two loads while nothing happens anywhere in the process. Invariant: what was
 * lost once stays lost, and is told once.
 */
import type { HaulError } from '../errors.js';
import type { ExtentTable } from './extents.js';
import { lostMemory } from './failures.js';
import type { DataFiles } from './files.js';
import type { Windows } from './windows.js';

/** No count of faults, so that each look goes the long way. */
const ALWAYS = -1;

export class Losses {
  readonly #windows: Windows;
  readonly #extents: ExtentTable;
  readonly #files: DataFiles;
  readonly #tell: (error: HaulError) => void;
  readonly #faults: Uint32Array;
  /** Of the whole process, when last looked at. */
  #known: number;
  #error: HaulError | null = null;

  /** @param tell called once, never from inside a call of this class */
  constructor(windows: Windows, extents: ExtentTable, files: DataFiles, tell: (error: HaulError) => void) {
    this.#windows = windows;
    this.#extents = extents;
    this.#files = files;
    this.#tell = tell;
    this.#faults = windows.faults;
    this.#known = this.#faults[0]!;
  }

  /** True: nothing that any window holds proves anything any more. */
  get hasAny(): boolean {
    return this.#faults[0] !== this.#known && this.#look();
  }

  /** What to say of it; null: nothing was lost. */
  get error(): HaulError | null {
    return this.hasAny ? this.#error : null;
  }

  #look(): boolean {
    if (this.#error !== null) return true;
    // Before the windows are looked at: what comes meanwhile is looked for again.
    this.#known = this.#faults[0]!;
    const loss = this.#windows.loss();
    if (loss === null) return false;
    const { layout, identities } = this.#files;
    const file = this.#extents.file[loss.extent]!;
    const error = lostMemory(this.#files.path(file), layout.fileLength(file), loss.fileOffset);
    this.#error = error;
    this.#known = ALWAYS;
    // Should it be as long as before by the time of the next record, its length and time prove nothing.
    identities.writers.suspect(file);
    setImmediate(() => this.#tell(error));
    return true;
  }
}
