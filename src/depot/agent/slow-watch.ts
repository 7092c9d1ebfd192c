/**
 * Whether a stream is slow, so that with others to fetch from a torrent may be quicker and spares the depot; or silent,
 * so that anything would be.
 */
import { Deferred } from './fetch.js';

/** Before that nothing can be said. */
const FIRST_MS = 300;
const STEP_MS = 100;
/** The rate is that of so many steps. */
const STEPS = 3;
/** What is over in this time is not worth a change, which takes a second or two in bad company. */
const LEFT_SECONDS = 3;
/** Nothing that comes over a network of 1 Gbit/s is as quick; a faster stream is not helped by peers. */
const QUICK_BYTES_PER_SEC = 150e6;
/** Nothing came for so long. */
const SILENT_MS = 2_000;

export class SlowWatch {
  readonly #slow = new Deferred<'slow'>();
  readonly #silent = new Deferred<'silent'>();
  readonly #timer: NodeJS.Timeout;

  constructor(lengthBytes: number, hereBytes: () => number, now: () => number) {
    const beganMs = now();
    const seen: { readonly atMs: number; readonly bytes: number }[] = [{ atMs: beganMs, bytes: hereBytes() }];
    let movedMs = beganMs;
    this.#timer = setInterval(() => {
      const nowMs = now();
      const last = seen.at(-1)!;
      if (hereBytes() > last.bytes) movedMs = last.atMs;
      else if (nowMs - movedMs >= SILENT_MS) this.#silent.resolve('silent');
      seen.push({ atMs: nowMs, bytes: hereBytes() });
      if (seen.length > STEPS + 1) seen.shift();
      if (nowMs - beganMs < FIRST_MS) return;
      const [first] = seen as [(typeof seen)[number]];
      const bytesPerSec = ((hereBytes() - first.bytes) * 1000) / Math.max(1, nowMs - first.atMs);
      if (bytesPerSec >= QUICK_BYTES_PER_SEC) return;
      if (lengthBytes - hereBytes() > bytesPerSec * LEFT_SECONDS) this.#slow.resolve('slow');
    }, STEP_MS);
  }

  get slow(): Promise<'slow'> {
    return this.#slow.promise;
  }

  get silent(): Promise<'silent'> {
    return this.#silent.promise;
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
