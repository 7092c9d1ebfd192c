/**
 * Connection ids of a UDP tracker (BEP 15) without a table: a keyed hash of the address and the minute, so that whoever
 * sends one has received it there, one or two minutes ago at most. Pure: the key and the time are arguments.
 */
import { sipHash, sipKey } from '../net/siphash.js';

/** An id is good for the minute it was made in and the next: clients use it for one (BEP 15). */
const EPOCH_MS = 60_000;

export class ConnectionIds {
  readonly #key: Uint32Array;
  readonly #hash = new Uint32Array(2);
  /** The address, then the minute. */
  readonly #message4 = Buffer.alloc(4 + 4);
  readonly #message6 = Buffer.alloc(16 + 4);

  /** @param secret 16 bytes that no client knows */
  constructor(secret: Uint8Array) {
    this.#key = sipKey(secret);
  }

  /** Writes the 8 bytes for this address. @param ip 4 or 16 bytes first; more is not looked at */
  write(ip: Uint8Array, ipBytes: number, nowMs: number, target: Buffer, at: number): void {
    const minute = Math.floor(nowMs / EPOCH_MS) >>> 0;
    this.#compute(ip, ipBytes, minute);
    target.writeUInt32BE(this.#hash[0]!, at);
    target.writeUInt32BE(this.#hash[1]!, at + 4);
  }

  isValid(ip: Uint8Array, ipBytes: number, nowMs: number, bytes: Buffer): boolean {
    const now = Math.floor(nowMs / EPOCH_MS) >>> 0;
    // The last bit says of which minute it is: one hash is enough.
    const minute = ((bytes[7]! ^ now) & 1) === 0 ? now : now - 1;
    this.#compute(ip, ipBytes, minute >>> 0);
    return bytes.readUInt32BE(0) === this.#hash[0] && bytes.readUInt32BE(4) === this.#hash[1];
  }

  #compute(ip: Uint8Array, ipBytes: number, minute: number): void {
    const message = ipBytes === 4 ? this.#message4 : this.#message6;
    for (let i = 0; i < ipBytes; i++) message[i] = ip[i]!;
    message.writeUInt32BE(minute, ipBytes);
    sipHash(this.#key, message, this.#hash);
    this.#hash[1] = (this.#hash[1]! & ~1) | (minute & 1);
  }
}
