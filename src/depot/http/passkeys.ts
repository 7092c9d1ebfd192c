/**
 * Passkeys of announce URLs: the HMAC of a token's id, under a key that never leaves. Who learns one may announce and
 * no more; it goes when the token goes. Nothing of them is kept.
 */
import { createHash, createHmac } from 'node:crypto';
import { isExpired, type Token, type TokenTable } from './tokens.js';

const PASSKEY_CHARACTERS = 32;

export class Passkeys {
  readonly #secret: Uint8Array;
  readonly #tokens: () => TokenTable;
  readonly #wallClockMs: () => number;
  #table: TokenTable | null = null;
  /** By a hash of the passkey: how long the search takes tells nothing of it. */
  #byHash: ReadonlyMap<string, Token> = new Map();

  constructor(secret: Uint8Array, tokens: () => TokenTable, wallClockMs: () => number) {
    this.#secret = secret;
    this.#tokens = tokens;
    this.#wallClockMs = wallClockMs;
  }

  of({ id }: Token): string {
    return createHmac('sha256', this.#secret).update(id).digest('base64url').slice(0, PASSKEY_CHARACTERS);
  }

  has(passkey: string): boolean {
    const table = this.#tokens();
    if (table !== this.#table) {
      this.#byHash = new Map([...table.tokens].map((token) => [this.#hash(this.of(token)), token]));
      this.#table = table;
    }
    const token = this.#byHash.get(this.#hash(passkey));
    return token !== undefined && !isExpired(token, this.#wallClockMs());
  }

  #hash(passkey: string): string {
    return createHash('sha256').update(this.#secret).update(passkey).digest('base64');
  }
}
