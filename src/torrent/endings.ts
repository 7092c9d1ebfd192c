/** How the life of a torrent ends, as errors and as a promise that is settled from outside. */
import { HaulError } from '../errors.js';

export function stoppedError(name: string): HaulError {
  return new HaulError('CLOSED', `${name}: stopped before it was complete`);
}

export function abortedError(name: string): HaulError {
  return new HaulError('ABORTED', `${name}: aborted before it was complete`);
}

const nothing = (): void => {};

/** Calls `stop` when the signal fires; soon, when it has. @returns what ends the watch */
export function whenAborted(signal: AbortSignal | undefined, stop: () => void): () => void {
  // Of thousands of torrents: what is returned must not hold `stop`.
  return signal === undefined ? nothing : watch(signal, stop);
}

function watch(signal: AbortSignal, stop: () => void): () => void {
  if (signal.aborted) queueMicrotask(stop);
  else signal.addEventListener('abort', stop, { once: true });
  return () => signal.removeEventListener('abort', stop);
}

export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

export function toHaulError(error: unknown, operation: string): HaulError {
  if (error instanceof HaulError) return error;
  return new HaulError('IO', `${operation}: ${error instanceof Error ? error.message : String(error)}`, {}, error);
}

export function wentBadError(name: string, badPieces: number): HaulError {
  const what = `${badPieces} pieces went bad on disk after they were verified`;
  const message = `${name}: ${what}; run it again to fetch them again`;
  return new HaulError('BAD_DATA', message, { badPieces });
}
