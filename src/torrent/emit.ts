/** Events for users of the package. */

import type { EventEmitter } from 'node:events';
import type { Log } from '../log.js';

/** Emits; a listener that throws breaks its own program, not the engine's bookkeeping. */
export function emitTo<T extends Record<keyof T, unknown[]>, K extends keyof T>(
  emitter: EventEmitter<T>,
  event: K,
  ...args: T[K]
): void {
  try {
    (emitter.emit as unknown as (event: K, ...args: T[K]) => boolean).call(emitter, event, ...args);
  } catch (error) {
    rethrowLater(error);
  }
}

/** A log that throws breaks its own program, not the bookkeeping of whoever had something to say. */
export function guarded(log: Log | undefined): Log {
  if (log === undefined) return () => {};
  return (level, message, facts) => {
    try {
      log(level, message, facts);
    } catch (error) {
      rethrowLater(error);
    }
  };
}

function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
