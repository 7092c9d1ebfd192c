/**
 * Which address we have on the Internet, by what the nodes say that we ask (BEP 42). Pure. One node has one voice,
 * whatever its ports, and a few liars do not change who we are.
 */

import { isUsable, reachOf } from '../net/reach.js';
import { groupOf } from '../net/remote-group.js';
import type { Family } from './messages.js';

/** The last voices that count. */
const VOICES = 16;
const VOICES_NEEDED = 5;

export class OwnAddress {
  readonly #family: Family;
  #host: string | null;
  readonly #voices = new Map<string, string>();

  /** @param host what was believed the last time; of another family it is nothing */
  constructor(family: Family, host: string | null = null) {
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

  /** An address that our node can have: what an answer says may be of the other family, or of a private network. */
  #isOurs(host: string): boolean {
    return reachOf(host) === 'public' && isUsable({ host, port: 1 }, this.#family);
  }
}
