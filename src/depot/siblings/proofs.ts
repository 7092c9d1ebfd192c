/**
 * How depots of one store know each other: by what both make of the secret in their catalogue. Who is asked proves
 * itself first, so nothing that the secret made goes to an address that leads to somebody else. Pure but for hashing.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** A number that a depot made for one question, and the name that a depot has while it runs: hexadecimal digits. */
export const NONCE_DIGITS = 32;

export class Proofs {
  readonly #key: Buffer;

  /** @param storeId depots of another store are strangers */
  constructor(secret: Uint8Array, storeId: string) {
    this.#key = createHmac('sha256', secret).update(`depots of one store, 1\n${storeId}`).digest();
  }

  /** That the depot `id` is one, to who made the nonce. */
  hello(nonce: string, id: string): string {
    return this.#of('hello', nonce, id);
  }

  /** That who asks the depot `id` is one. It is good for this depot and these bytes alone. */
  question(id: string, question: string): string {
    return this.#of('question', id, question);
  }

  #of(...words: string[]): string {
    return createHmac('sha256', this.#key).update(words.join('\n')).digest('hex');
  }
}

export function isProof(said: unknown, wanted: string): boolean {
  if (typeof said !== 'string' || said.length !== wanted.length || !/^[0-9a-f]+$/.test(said)) return false;
  return timingSafeEqual(Buffer.from(said), Buffer.from(wanted));
}
