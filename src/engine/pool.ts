/**
 * The work pool of an engine and how large it and the table of connections are. Apart from the engine, so that a
 * command may have the threads started while the engine itself is being loaded.
 */
import { availableParallelism } from 'node:os';
import type { EngineOptions } from '../api.js';
import { LIMITS } from '../config.js';
import { isSupported } from '../native/mmap-io.js';
import { type OpenFiles, openFilesLimit, shareOpenFiles } from '../native/open-files.js';
import { createWorkPool } from '../work/pool.js';
import type { WorkPool } from '../work/port.js';

/** Threads and connections as asked for, or as many as the process may open files for. */
export function roomOf({ threads, maxConnections }: EngineOptions): OpenFiles {
  return shareOpenFiles(openFilesLimit(), {
    threads: threads ?? Math.max(1, availableParallelism() - 1),
    connections: maxConnections ?? LIMITS.connectionsPerEngine,
    files: 0,
  });
}

/** Its threads start with the first job, or with `warmUp`. */
export function makeEnginePool(options: EngineOptions): WorkPool {
  const { log } = options;
  return createWorkPool({
    threads: roomOf(options).threads,
    needsMemory: isSupported,
    onDeath: (cause) => log?.('warn', `a worker thread ended and is started again: ${cause}`),
    onDown: (error) => log?.('error', error.message),
  });
}
