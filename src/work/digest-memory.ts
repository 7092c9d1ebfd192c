/**
 * The worker's side of hashing memory: what a batch has to hash is put together and hashed in one call of the native
 * library, a lane for each message. Where there is no library, or too little to hash, OpenSSL does it, one after the
 * other.
 * Invariant: both give the same digests; the memory of all messages is present when they come here.
 */
import * as crypto from 'node:crypto';
import { HashCall, hashRates } from '../native/multihash.js';
import type { MemoryRange } from './port.js';
import { checkRange, viewOf, zeros } from './views.js';

/** What is hashed together: ranges one after the other, zeros where the window's address is 0. */
export type Message = readonly MemoryRange[];

const MIB = 1024 * 1024;

/** Node 20.12 and later have a one-shot hash that is 5-20 % faster than `createHash` for one range. */
const oneShot: typeof crypto.hash | undefined = crypto.hash;

let call: HashCall | null = null;

function sha1Here(message: Message): Buffer {
  const only = message[0];
  if (oneShot !== undefined && message.length === 1 && only !== undefined && only.windowAddress !== 0) {
    return oneShot('sha1', viewOf(only), 'buffer');
  }
  const hash = crypto.createHash('sha1');
  for (const range of message) {
    if (range.windowAddress !== 0) hash.update(viewOf(range));
    else for (let left = range.lengthBytes; left > 0; left -= MIB) hash.update(zeros(Math.min(left, MIB)));
  }
  return hash.digest();
}

function sha1Together(messages: readonly Message[]): Buffer[] {
  call ??= new HashCall('sha1');
  call.clear();
  for (const message of messages) {
    call.message();
    for (const range of message) {
      if (range.windowAddress !== 0) checkRange(range);
      const { windowAddress, beginBytes, lengthBytes } = range;
      call.range(windowAddress === 0 ? 0 : windowAddress + beginBytes, lengthBytes);
    }
  }
  call.run();
  return messages.map((_, index) => call!.digest(index));
}

/** So many messages are hashed in one call, not one after the other. */
export function isHashedTogether(messageCount: number): boolean {
  const rates = messageCount === 0 ? null : hashRates('sha1');
  return rates !== null && messageCount >= rates.atLeast;
}

/** SHA-1 of each message, in their order. @throws RangeError when a range leaves its window */
export function sha1Memory(messages: readonly Message[]): Buffer[] {
  return isHashedTogether(messages.length) ? sha1Together(messages) : messages.map(sha1Here);
}
