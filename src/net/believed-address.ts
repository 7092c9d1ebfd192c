/**
 * Which address we have on the Internet, by what others say: nodes of the DHT (BEP 42), or peers (BEP 10, `yourip`).
 * Pure. One host has one voice, whatever its ports, and a few liars do not change who we are.
 */

import { isUsable, reachOf } from './reach.js';
import { groupOf } from './remote-group.js';

/** The last voices that count. */
const VOICES = 16;
const VOICES_NEEDED = 5;

export class BelievedAddress {
  readonly #family: 4 | 6;
  #host: string | null;
  readonly #voices = new Map<string, string>();

  /** @param host what was believed the last time; of another family it is nothing */
  constructor(family: 4 | 6, host: string | null = null) {
    this.#family = family;
    this.#host = host !== null && this.#isOurs(host) ? host : null;
  }

  get host(): string | null {
    return this.#host;
  }

  /** @returns true: it is another one than was believed so far */
  heard(from: string, host: string): boolean {
    if (!this.#isOurs(host) || reachOf(from) !== 'public') return false;
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

  /** An address that can be ours: what an answer says may be of the other family, or of a private network. */
  #isOurs(host: string): boolean {
    return reachOf(host) === 'public' && isUsable({ host, port: 1 }, this.#family);
  }
}
