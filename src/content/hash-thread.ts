/**
 * Threads that hash files, one file each at a time. One that has come to the end of its file rests for a while and
 * takes the next: to begin takes a thread longer than it takes to hash 30 MiB.
 */
import { Worker } from 'node:worker_threads';
import type { Sha256Answer, Sha256Failure, Sha256Task } from './sha256-thread.cjs';

/** A thread at rest has some 5 MiB. */
const REST_MS = 5_000;

/** Who has it hears what it says, and that it ended. */
export interface HashThreadTold {
  said(answer: Sha256Answer | Sha256Failure): void;
  ended(error: Error): void;
}

export class HashThread {
  static #resting: HashThread | null = null;
  readonly #worker: Worker;
  #told: HashThreadTold | null;
  #timer: NodeJS.Timeout | null = null;

  private constructor(told: HashThreadTold) {
    this.#told = told;
    // Named from two folders below `dist`, where this is, and where it is in a bundle.
    this.#worker = new Worker(new URL('../content/sha256-thread.cjs', import.meta.url));
    this.#worker.unref();
    this.#worker.on('message', (answer: Sha256Answer | Sha256Failure) => this.#told?.said(answer));
    this.#worker.once('error', (error) => this.#ended(error));
    this.#worker.once('exit', () => this.#ended(new Error('the thread ended')));
  }

  /** It keeps nothing alive. @throws what the system says */
  static take(told: HashThreadTold): HashThread {
    const thread = HashThread.#resting;
    if (thread === null) return new HashThread(told);
    HashThread.#resting = null;
    clearTimeout(thread.#timer!);
    thread.#told = told;
    return thread;
  }

  tell(task: Sha256Task): void {
    this.#worker.postMessage(task);
  }

  /** Its answer is waited for: that keeps the process alive. */
  ref(): void {
    this.#worker.ref();
  }

  /** It has given its answer. Another one may rest already. */
  rest(): void {
    this.#told = null;
    if (HashThread.#resting !== null) {
      this.end();
      return;
    }
    this.#worker.unref();
    HashThread.#resting = this;
    this.#timer = setTimeout(() => this.end(), REST_MS).unref();
  }

  end(): void {
    this.#told = null;
    if (HashThread.#resting === this) HashThread.#resting = null;
    void this.#worker.terminate();
  }

  #ended(error: Error): void {
    const told = this.#told;
    this.end();
    told?.ended(error);
  }
}
