/**
 * One worker thread under supervision: a piscina with a single worker, proven by a tiny job with a known digest before
 * it gets real ones.
 *
 * Left to itself piscina replaces a worker that died at once, gives up after a second one that fails to load, and never
 * answers what is queued then; where no thread can be made, its constructor throws inside an event of its own. So each
 * thread has a piscina that is given up with its worker; whether and when there is another thread is decided in
 * `crew.ts`.
 * Invariant: `run` settles once; when it rejects, the thread touches no memory any more. `onGone` comes once, and not
 * after `stop`.
 */
import { Piscina } from 'piscina';
import { encodeProof, isProof } from './job.js';

/** One being worked on, one waiting in the worker's port. */
export const BATCHES_PER_THREAD = 2;
/**
 * Of its heap, three parts of a megabyte (V8 takes two while it is not busy). A job leaves some hundred bytes behind,
 * and nothing that lives on; left to itself V8 lets this grow to 8 MiB while a thread loads.
 */
export const YOUNG_MIB = 3;
/** A thread that was told to end may sit in a system call for ever: whoever waits for it has other things to do. */
const EXIT_PATIENCE_MS = 2000;

export interface ThreadSettings {
  readonly filename: string;
  /** The proof covers mapped memory as well. Where it has to be found out, that is done while the thread loads. */
  readonly needsMemory: boolean | (() => boolean);
  readonly proofTimeoutMs: number;
  /** For tests of workers that run out of memory. */
  readonly heapMib?: number | undefined;
}

export interface ThreadOwner {
  /** It has done the proof: batches may come. */
  onProven(thread: PoolThread): void;
  onGone(thread: PoolThread, cause: Error): void;
}

/** A thread whose file is empty, or cut off where it is a program still, has nothing to do and ends. */
class CutOff extends Error {
  readonly code = 'MODULE_NOT_FOUND';

  constructor() {
    super('the file of a worker is cut off');
  }
}

export class PoolThread {
  isProven = false;
  /** Batches under way. */
  load = 0;
  /** The batch under way may end the thread: no other is sent along. */
  isReserved = false;
  readonly #owner: ThreadOwner;
  readonly #piscina: Piscina<Float64Array, Float64Array>;
  readonly #exited: Promise<void>;
  readonly #proof: Promise<void>;
  #isOver = false;
  #isStopped = false;
  #cause: Error | null = null;

  /** @throws what `new Worker` throws where no thread can be made */
  constructor(settings: ThreadSettings, owner: ThreadOwner) {
    this.#owner = owner;
    const { filename, heapMib } = settings;
    this.#piscina = new Piscina<Float64Array, Float64Array>({
      filename,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: BATCHES_PER_THREAD,
      atomics: 'sync',
      recordTiming: false,
      resourceLimits: {
        maxYoungGenerationSizeMb: YOUNG_MIB,
        ...(heapMib === undefined ? {} : { maxOldGenerationSizeMb: heapMib }),
      },
    });
    // What went wrong is heard from the worker itself.
    this.#piscina.on('error', () => {});
    this.#piscina.on('workerDestroy', () => void this.#abandon());
    const worker = this.#piscina.threads[0]!;
    worker.once('error', (error) => {
      this.#cause ??= asError(error);
    });
    this.#exited = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.#cause ??= code === 0 && !this.isProven ? new CutOff() : new Error(`it exited with code ${code}`);
        resolve();
      });
    });
    this.#proof = this.#prove(settings);
  }

  /** Rejects when the thread died or its code threw. */
  async run(numbers: Float64Array): Promise<Float64Array> {
    try {
      return await this.#piscina.run(numbers);
    } catch (error) {
      if (this.#isOver) await this.#exited;
      throw this.#cause ?? error;
    }
  }

  /**
   * Resolves when the thread has ended, or will not. One that is ended while it loads native code takes the process
   * with it: first its proof.
   */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await patiently(this.#proof);
    await this.#abandon();
  }

  async #prove({ needsMemory, proofTimeoutMs }: ThreadSettings): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      const error = new Error(`it did not start within ${proofTimeoutMs / 1000} s`);
      timer = setTimeout(reject, proofTimeoutMs, error);
    });
    try {
      const isMapping = typeof needsMemory === 'function' ? needsMemory() : needsMemory;
      const answer = await Promise.race([this.#piscina.run(encodeProof(isMapping)), silence]);
      if (!isProof(answer)) throw new Error('it gives a wrong digest of known bytes');
      this.isProven = !this.#isOver && !this.#isStopped;
      if (this.isProven) this.#owner.onProven(this);
    } catch (error) {
      this.#cause ??= asError(error);
      await this.#abandon();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the thread and keeps piscina from starting another. */
  async #abandon(): Promise<void> {
    const isFirst = !this.#isOver;
    this.#isOver = true;
    this.isProven = false;
    if (isFirst) void this.#piscina.destroy();
    await patiently(this.#exited);
    if (isFirst && !this.#isStopped) this.#owner.onGone(this, this.#cause ?? new Error('it ended'));
  }
}

/** Waits for the step, but not for ever. */
async function patiently(step: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, EXIT_PATIENCE_MS);
  });
  await Promise.race([step, patience]);
  clearTimeout(timer);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
