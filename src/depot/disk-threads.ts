/**
 * The threads of the store: asks them and hears what they say. One for files, and a few that hash; each starts with the
 * first that it has to do and keeps nothing alive while it waits. A thread that ends fails what it was asked; the next
 * question starts another one.
 */
import { Worker } from 'node:worker_threads';
import { fromSystemError, HaulError } from '../errors.js';
import { CANNOT_FORCE } from '../native/errno.js';
import type {
  Digests,
  DiskAnswer,
  DiskTask,
  DiskThreadData,
  Failure,
  Prepared,
  Settled,
  Settlement,
  SmallFile,
} from './disk-thread.cjs';

export type { Digests, Prepared, Settlement, SmallFile } from './disk-thread.cjs';

/** Of one entry of a batch: what became of it. */
export type Outcome = { readonly value: unknown } | { readonly failure: HaulError };

/** Of a settlement: see `Settled` of the thread. */
export interface SettledOutcome {
  readonly replacedBytes: number | null;
  readonly failure: HaulError | null;
}

interface Asked {
  readonly where: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: HaulError) => void;
}

interface Hashing {
  readonly path: string;
  readonly onDone: (hashedBytes: number) => void;
  readonly onFailure: (error: HaulError) => void;
}

type Question = DiskTask extends infer Task ? (Task extends { readonly id: number } ? Omit<Task, 'id'> : never) : never;

/** A thread at rest for so long is ended: it holds some ten megabytes, and another one begins in 50 ms. */
const REST_MS = 5_000;

export class DiskThread {
  #worker: Worker | null = null;
  #lastId = 0;
  readonly #asked = new Map<number, Asked>();
  readonly #hashing = new Map<number, Hashing>();
  #rest: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** What it hashes, and what it was asked beside that. */
  get load(): number {
    return this.#hashing.size + this.#asked.size;
  }

  /** @throws HaulError as the file system says, or CLOSED */
  async prepare(root: string): Promise<Prepared> {
    return (await this.#ask({ kind: 'prepare', root }, root)) as Prepared;
  }

  /** For each, whether its temporary file is there now; else the place held the bytes already. */
  async write(files: readonly SmallFile[], isForced: boolean): Promise<Outcome[]> {
    const outcomes = await this.#ask({ kind: 'write', files, isForced }, 'the store');
    return outcomesOf(outcomes, (index) => files[index]!.temporary);
  }

  async settle(settlements: readonly Settlement[], isForced: boolean): Promise<SettledOutcome[]> {
    const settled = (await this.#ask({ kind: 'settle', settlements, isForced }, 'the store')) as Settled[];
    return settled.map(({ replacedBytes, failure }, index) => {
      const { rename, beside, line } = settlements[index]!;
      const where = rename?.to ?? beside?.place ?? line?.file ?? 'the store';
      return { replacedBytes, failure: failure === null ? null : errorOf(failure, where) };
    });
  }

  /** What cannot be removed stays. */
  async remove(files: readonly string[]): Promise<void> {
    await this.#ask({ kind: 'remove', files }, 'the store');
  }

  beginHash(upload: number, hashing: Hashing): void {
    this.#hashing.set(upload, hashing);
  }

  /** Hashes on, up to that byte; `onDone` and `onFailure` say how far it is. */
  hash(upload: number, path: string, untilBytes: number, pieceLengthBytes: number | null): void {
    this.#post({ kind: 'hash', upload, path, untilBytes, pieceLengthBytes });
  }

  async digest(upload: number, path: string, lengthBytes: number, pieceLengthBytes: number | null): Promise<Digests> {
    try {
      return (await this.#ask({ kind: 'digest', upload, path, lengthBytes, pieceLengthBytes }, path)) as Digests;
    } finally {
      this.#hashing.delete(upload);
      this.#hold();
    }
  }

  /** SHA-1 of the pieces one after the other, or SHA-256 of all. @param bytes in shared memory, left alone meanwhile */
  async digestMemory(bytes: Uint8Array, pieceLengthBytes: number | null): Promise<Uint8Array> {
    return (await this.#ask({ kind: 'memory', bytes, pieceLengthBytes }, 'memory')) as Uint8Array;
  }

  /** It is not wanted any more. */
  endHash(upload: number): void {
    if (this.#hashing.delete(upload) && this.#worker !== null) this.#post({ kind: 'drop', upload });
    this.#hold();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#rest !== null) clearTimeout(this.#rest);
    const worker = this.#worker;
    this.#fail(new HaulError('CLOSED', 'the store was closed'));
    await worker?.terminate();
  }

  #ask(question: Question, where: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#asked.set(id, { where, resolve, reject });
      this.#post({ ...question, id } as DiskTask);
    });
  }

  #post(task: DiskTask): void {
    if (this.#isClosed) {
      this.#fail(new HaulError('CLOSED', 'the store was closed'));
      return;
    }
    try {
      this.#worker ??= this.#start();
    } catch (error) {
      this.#fail(fromSystemError(error, 'start', 'a thread of the store'));
      return;
    }
    this.#hold();
    this.#worker.postMessage(task);
  }

  /** Somebody waits for it: the process does not end. */
  #hold(): void {
    const isBusy = this.#asked.size + this.#hashing.size > 0;
    if (isBusy) this.#worker?.ref();
    else this.#worker?.unref();
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = isBusy || this.#worker === null ? null : setTimeout(() => this.#letGo(), REST_MS).unref();
  }

  /** It has nothing to do and keeps nothing: its memory is given back. */
  #letGo(): void {
    this.#rest = null;
    const worker = this.#worker;
    if (this.#asked.size + this.#hashing.size > 0) return;
    this.#worker = null;
    void worker?.terminate();
  }

  #start(): Worker {
    // Named from two folders below `dist`, where this is, and where it is in a bundle.
    const workerData: DiskThreadData = { cannotForce: [...CANNOT_FORCE].map(String) };
    const worker = new Worker(new URL('../depot/disk-thread.cjs', import.meta.url), { workerData });
    const lost = (error: unknown): void => {
      if (this.#worker === worker) this.#fail(fromSystemError(error, 'use', 'a thread of the store'));
    };
    worker.on('message', (said: DiskAnswer) => this.#heard(said));
    worker.once('error', lost);
    worker.once('exit', () => lost(new Error('it ended')));
    worker.unref();
    return worker;
  }

  #heard(said: DiskAnswer): void {
    if ('id' in said) {
      const asked = this.#asked.get(said.id);
      this.#asked.delete(said.id);
      this.#hold();
      if ('failure' in said) asked?.reject(errorOf(said.failure, asked.where));
      else asked?.resolve(said.value);
      return;
    }
    const hashing = this.#hashing.get(said.upload);
    if ('failure' in said) hashing?.onFailure(errorOf(said.failure, hashing.path));
    else hashing?.onDone(said.hashedBytes);
  }

  #fail(error: HaulError): void {
    this.#worker = null;
    const [asked, hashing] = [[...this.#asked.values()], [...this.#hashing.values()]];
    this.#asked.clear();
    this.#hashing.clear();
    for (const { reject } of asked) reject(error);
    for (const { onFailure } of hashing) onFailure(error);
  }
}

function errorOf({ code, message, path }: Failure, where: string): HaulError {
  return fromSystemError(Object.assign(new Error(message), code === null ? {} : { code }), 'use', path ?? where);
}

function outcomesOf(said: unknown, where: (index: number) => string): Outcome[] {
  return (said as ({ value: unknown } | { failure: Failure })[]).map((outcome, index) =>
    'failure' in outcome ? { failure: errorOf(outcome.failure, where(index)) } : outcome,
  );
}
