/**
 * Bytes for a client that hangs up after a few seconds of silence, as GitHub's does (5 s): the last that came wait
 * here, and leave a little at a time while the next are fetched, verified or hashed.
 */
import type { Slices } from '../http/route.js';

export const TRICKLE = {
  /** So many bytes wait, */
  reserveBytes: 64 * 1024,
  /** and so many of them leave */
  stepBytes: 256,
  /** after so long without others: of silence there may be eight minutes. */
  everyMs: 2_000,
} as const;

type Delay = (ms: number, signal: AbortSignal) => Promise<void>;

const timed: Delay = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** The same bytes. Each slice is valid until the next is asked for, as those that come in are. */
export async function* trickle(source: AsyncIterable<Uint8Array>, delay: Delay = timed): AsyncGenerator<Uint8Array> {
  const { reserveBytes, stepBytes, everyMs } = TRICKLE;
  const slices = source[Symbol.asyncIterator]();
  let reserve: Uint8Array = new Uint8Array(0);
  try {
    for (;;) {
      const next = slices.next();
      next.catch(() => {});
      for (;;) {
        const abort = new AbortController();
        const came = await Promise.race([next.then(() => true), delay(everyMs, abort.signal)]).finally(() =>
          abort.abort(),
        );
        if (came === true) break;
        if (reserve.length === 0) continue;
        yield reserve.subarray(0, stepBytes);
        reserve = reserve.subarray(stepBytes);
      }
      const { done, value } = await next;
      if (done === true) break;
      if (value.length >= reserveBytes) {
        if (reserve.length > 0) yield reserve;
        if (value.length > reserveBytes) yield value.subarray(0, -reserveBytes);
        reserve = Buffer.from(value.subarray(-reserveBytes));
      } else {
        const all = Buffer.concat([reserve, value]);
        const ready = Math.max(0, all.length - reserveBytes);
        if (ready > 0) yield all.subarray(0, ready);
        reserve = all.subarray(ready);
      }
    }
    if (reserve.length > 0) yield reserve;
  } finally {
    await slices.return?.();
  }
}

export function trickling({ lengthBytes, open }: Slices): Slices {
  return { lengthBytes, open: () => trickle(open()) };
}
