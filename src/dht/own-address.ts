/**
 * Which address we have on the Internet, by what the nodes say that we ask (BEP 42). Pure. One node has one voice,
 * whatever its ports, and a few liars do not change who we are.
 */

import { reachOf } from '../net/reach.js';
import { groupOf } from '../net/remote-group.js';

/** The last voices that count. */
const VOICES = 16;
const VOICES_NEEDED = 5;

export class OwnAddress {
  #host: string | null;
  readonly #voices = new Map<string, string>();

  /** @param host what was believed the last time */
  constructor(host: string | null = null) {
    this.#host = host;
  }

  get host(): string | null {
    return this.#host;
  }

  /** @returns true: it is another one than was believed so far */
  heard(from: string, host: string): boolean {
    if (reachOf(host) !== 'public' || reachOf(from) !== 'public') return false;
    const group = groupOf(from);
    this.#voices.delete(group);
    this.#voices.set(group, host);
    if (this.#voices.size > VOICES) this.#voices.delete(this.#voices.keys().next().value!);
    if (host === this.#host) return false;
    const same = [...this.#voices.values()].filter((other) => other === host).length;
    if (same < VOICES_NEEDED || same * 2 <= this.#voices.size) return false;
    this.#host = host;
    return true;
  }
}
