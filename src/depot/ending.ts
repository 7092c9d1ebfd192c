/** How a running depot ends: first not ready, then nothing new, then what is under way, then all that it opened. */
import type { Depot } from './api.js';
import { DEPOT_HTTP_LIMITS } from './http/limits.js';
import type { Listeners } from './http/listeners.js';
import type { HttpServer } from './http/server.js';

export interface EndingParts {
  readonly server: HttpServer;
  /** Of announces. */
  readonly doors: { drain(): void; close(): void };
  readonly listeners: Listeners;
  readonly timer: NodeJS.Timeout;
  readonly opened: { close(): Promise<void> };
  /** It is not ready any more. */
  readonly onDrain: () => void;
}

type Ending = Pick<Depot, 'drain' | 'close' | typeof Symbol.asyncDispose>;

export function endingOf({ server, doors, listeners, timer, opened, onDrain }: EndingParts): Ending {
  const drain = (): void => {
    onDrain();
    server.drain();
    doors.drain();
  };
  const end = async (graceMs: number): Promise<void> => {
    drain();
    clearInterval(timer);
    listeners.close();
    doors.close();
    await server.close(graceMs);
    await opened.close();
  };
  let closing: Promise<void> | null = null;
  const close = (graceMs: number = DEPOT_HTTP_LIMITS.graceMs): Promise<void> => {
    closing ??= end(graceMs);
    return closing;
  };
  return { drain, close, [Symbol.asyncDispose]: () => close() };
}
