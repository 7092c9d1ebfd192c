/**
 * A worker thread that is begun before the command is loaded: it takes Node as long to start one as to load all the
 * rest, on another core. The first pool of the command takes it (`bundle/build.ts` puts the question into piscina).
 * Until then the thread holds nothing but piscina's own code, so that the process may end at any time.
 */
const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');

type Thread = import('node:worker_threads').Worker;

export interface EarlyThreads {
  readonly beginThread: typeof beginThread;
  readonly takeThread: typeof takeThread;
}

/** As in `hash/thread.ts`, which is not loaded yet. */
const YOUNG_MIB = 3;

let early: Thread | null = null;

/** It could not start, or ended: the pool makes one of its own, and says what is wrong. */
function forget(): void {
  early = null;
}

/** @param file what piscina would start a thread with */
function beginThread(file: string): void {
  try {
    early = new Worker(file, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB } });
  } catch {
    return;
  }
  early.unref();
  early.once('error', forget);
  early.once('exit', forget);
}

/** The thread, the first time; as if it had just been made. */
function takeThread(): Thread | null {
  const taken = early;
  early = null;
  taken?.removeListener('error', forget);
  taken?.removeListener('exit', forget);
  taken?.ref();
  return taken;
}

module.exports = { beginThread, takeThread } satisfies EarlyThreads;
