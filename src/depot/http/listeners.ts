/**
 * Who listens to /events (server-sent events). Bounded: so many of one address and in all, and who reads too slowly is
 * let go of. Nobody is waited for.
 */
import type { ServerResponse } from 'node:http';
import { DEPOT_HTTP_LIMITS } from './limits.js';

export interface DepotEvent {
  readonly type: 'publish' | 'remove' | 'pin' | 'fetch' | 'receipt' | 'figures';
  /** Full name of what it is about; null: it is about no name. */
  readonly name: string | null;
  /** JSON. */
  readonly data: Readonly<Record<string, unknown>>;
}

export const EVENT_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
};

interface Listener {
  readonly response: ServerResponse;
  readonly group: string;
  /** Of names below this it hears. */
  readonly prefix: string;
}

export class Listeners {
  readonly #listeners = new Set<Listener>();
  #next = 1;

  get count(): number {
    return this.#listeners.size;
  }

  /** False: there is no room. @param group of its address */
  add(response: ServerResponse, group: string, prefix: string): boolean {
    const ofGroup = [...this.#listeners].filter((listener) => listener.group === group).length;
    const { listeners, listenersPerAddress } = DEPOT_HTTP_LIMITS;
    if (this.#listeners.size >= listeners || ofGroup >= listenersPerAddress) return false;
    const listener = { response, group, prefix };
    this.#listeners.add(listener);
    response.once('close', () => this.#listeners.delete(listener));
    response.writeHead(200, EVENT_HEADERS);
    response.write('retry: 2000\n\n');
    return true;
  }

  tell({ type, name, data }: DepotEvent): void {
    if (this.#listeners.size === 0) return;
    const text = `id: ${this.#next++}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const { response, prefix } of this.#listeners) {
      if (name !== null && !name.startsWith(prefix)) continue;
      if (response.writableLength > DEPOT_HTTP_LIMITS.listenerBytes) response.destroy();
      else response.write(text);
    }
  }

  beat(): void {
    for (const { response } of this.#listeners) response.write(':\n\n');
  }

  close(): void {
    for (const { response } of this.#listeners) response.end();
    this.#listeners.clear();
  }
}
