/**
 * Tokens of `get_peers` (BEP 5) without a table: a keyed hash of the address and of the five minutes, so that only who
 * has received one there announces from there, and within ten minutes. Pure.
 */
import { ipBytes } from '../net/address.js';
import { sipHash, sipKey } from '../net/siphash.js';

/** A token is good for the five minutes it was made in and the next. */
const EPOCH_MS = 5 * 60_000;
const TOKEN_BYTES = 8;

export class Tokens {
  readonly #key: Uint32Array;
  readonly #hash = new Uint32Array(2);

  /** @param secret 16 bytes that nobody else knows */
  constructor(secret: Uint8Array) {
    this.#key = sipKey(secret);
  }

  /** 8 bytes. @param host an IP address */
  make(host: string, nowMs: number): Buffer {
    return this.#of(host, Math.floor(nowMs / EPOCH_MS));
  }

  isValid(token: Uint8Array, host: string, nowMs: number): boolean {
    if (token.length !== TOKEN_BYTES) return false;
    const epoch = Math.floor(nowMs / EPOCH_MS);
    return this.#of(host, epoch).equals(token) || this.#of(host, epoch - 1).equals(token);
  }

  #of(host: string, epoch: number): Buffer {
    const ip = ipBytes(host) ?? new Uint8Array(0);
    const message = Buffer.alloc(ip.length + 4);
    message.set(ip);
    message.writeUInt32BE(epoch >>> 0, ip.length);
    sipHash(this.#key, message, this.#hash);
    const token = Buffer.alloc(TOKEN_BYTES);
    token.writeUInt32BE(this.#hash[0]!, 0);
    token.writeUInt32BE(this.#hash[1]!, 4);
    return token;
  }
}
