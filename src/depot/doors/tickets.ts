/** Links that hold for a while without a token: what they are for, until when, and a signature. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export class Tickets {
  /** Of this process: links end with it. */
  readonly #secret = randomBytes(32);
  readonly #monotonic: () => number;

  /** @param monotonic milliseconds: a clock that is set must not end the links of all jobs, nor bring back old ones */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** One part of a path. @param purpose what else is signed, so that one kind is not taken for another */
  make(purpose: string, subject: string, validMs: number): string {
    const until = Math.ceil((this.#monotonic() + validMs) / 1000).toString(36);
    const text = Buffer.from(subject).toString('base64url');
    return `${text}.${until}.${this.#sign(purpose, text, until)}`;
  }

  /** What it is for; null: it is none of ours, or its time is over. */
  read(purpose: string, ticket: string): string | null {
    const [text, until, signature, more] = ticket.split('.');
    if (text === undefined || until === undefined || signature === undefined || more !== undefined) return null;
    const [given, right] = [Buffer.from(signature), Buffer.from(this.#sign(purpose, text, until))];
    if (given.length !== right.length || !timingSafeEqual(given, right)) return null;
    if (Number.parseInt(until, 36) * 1000 < this.#monotonic()) return null;
    return Buffer.from(text, 'base64url').toString('utf8');
  }

  #sign(purpose: string, text: string, until: string): string {
    return createHmac('sha256', this.#secret).update(`${purpose}\n${text}\n${until}`).digest('base64url');
  }
}
