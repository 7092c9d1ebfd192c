/**
 * Bytes of an object into memory: a body that is cut, silent or slow is given up, and the rest asked for again, until
 * the time is over. Nothing in it is believed yet.
 */
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { HaulError } from '../../../errors.js';
import type { Objects } from './objects.js';
import type { Times } from './sdk.js';

const PAUSE_MS = 100;

export interface RangeOf {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

/** False: the object is not there, or shorter than that. @param into of that length @throws HaulError NETWORK */
export async function fetchRange(
  objects: Objects,
  { name, begin, end }: RangeOf,
  into: Uint8Array,
  times: Times,
): Promise<boolean> {
  const over = AbortSignal.timeout(times.chunkMs);
  let doneBytes = 0;
  // In a row, without a byte between.
  for (let failures = 0; ; failures++) {
    const before = doneBytes;
    let trouble: unknown = new Error('the body ended early');
    try {
      const opened = await objects.openRange(name, begin + doneBytes, end, over);
      if (opened === null) return false;
      if (opened.lengthBytes !== end - begin - doneBytes) {
        opened.body.destroy();
        return false;
      }
      for await (const chunk of silencedAfter(opened.body, times.silenceMs, over)) {
        if (doneBytes + chunk.length > into.length) throw new Error('more came than was asked for');
        into.set(chunk, doneBytes);
        doneBytes += chunk.length;
      }
      if (doneBytes === into.length) return true;
    } catch (error) {
      trouble = error;
    }
    if (doneBytes > before) failures = 0;
    // The SDK has tried several times before it throws, but it does not look at bodies.
    if (over.aborted || failures >= times.attempts) throw failure(objects, trouble, name);
    await delay(PAUSE_MS * 2 ** failures);
  }
}

function failure(objects: Objects, error: unknown, name: string): HaulError {
  return objects.trouble(error, 'read', name);
}

/** Ends with an error when nothing came for so long. */
async function* silencedAfter(body: Readable, silenceMs: number, over: AbortSignal): AsyncGenerator<Buffer> {
  const end = (): void => void body.destroy(Object.assign(new Error('it is silent'), { name: 'TimeoutError' }));
  const timer = setTimeout(end, silenceMs);
  over.addEventListener('abort', end, { once: true });
  try {
    for await (const chunk of body) {
      timer.refresh();
      yield chunk;
    }
  } finally {
    clearTimeout(timer);
    over.removeEventListener('abort', end);
    body.destroy();
  }
}
