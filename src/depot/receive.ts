/** Takes a body into an upload: no longer than allowed, no slower than the least rate, ended by a signal. */
import { HaulError } from '../errors.js';
import { Pace, type PaceRule } from './pace.js';
import type { PublishRequest } from './publish-port.js';
import type { BlobUpload } from './store/port.js';

export interface ReceiveRules {
  readonly lengthMax: number;
  readonly tooLong: (lengthMax: number) => Error;
  readonly pace: PaceRule;
  /** Milliseconds that only go on. */
  readonly monotonic: () => number;
}

/** All bodies that are waited for, looked at by one timer. */
const waiting = new Set<() => void>();
let timer: NodeJS.Timeout | null = null;
const LOOK_MS = 1_000;

/** @throws HaulError LIMIT, TIMEOUT, ABORTED, and what the upload says; what the body throws is an ABORTED */
export async function receive(
  { body, signal, lengthBytes }: Pick<PublishRequest, 'body' | 'signal' | 'lengthBytes'>,
  upload: Pick<BlobUpload, 'write'>,
  { lengthMax, tooLong, pace: rule, monotonic }: ReceiveRules,
): Promise<void> {
  const pace = new Pace(rule);
  const chunks = body[Symbol.asyncIterator]();
  let isOver = false;
  let receivedBytes = 0;
  let failure: HaulError | null = null;
  let reject: (error: HaulError) => void = () => {};
  const end = (error: HaulError): void => {
    failure ??= error;
    reject(failure);
  };
  // One promise that lives as long as the body would keep a reaction for each chunk.
  const unlessEnded = <T>(step: Promise<T>): Promise<T> =>
    new Promise((resolve, fail) => {
      reject = fail;
      step.then(resolve, fail);
      if (failure !== null) fail(failure);
    });
  const look = (): void => {
    if (!pace.isAlive(monotonic())) end(tooSlow(rule));
  };
  const onAbort = (): void => end(aborted(signal.reason));
  if (signal.aborted) throw aborted(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  watch(look);
  try {
    for (;;) {
      pace.wait(monotonic());
      const next = await unlessEnded(nextOf(chunks));
      if (next.done === true) {
        isOver = true;
        return;
      }
      const chunk = next.value;
      receivedBytes += chunk.length;
      if (receivedBytes > lengthMax) throw tooLong(lengthMax);
      if (!pace.got(monotonic(), chunk.length) && receivedBytes !== lengthBytes) throw tooSlow(rule);
      await unlessEnded(upload.write(chunk));
    }
  } finally {
    unwatch(look);
    signal.removeEventListener('abort', onAbort);
    // Not waited for: one that hangs would hold us.
    if (!isOver) void Promise.resolve(chunks.return?.()).catch(() => {});
  }
}

/** What fails in a body is its sender: the connection broke. */
async function nextOf(chunks: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  try {
    return await chunks.next();
  } catch (error) {
    throw HaulError.is(error) ? error : aborted(error);
  }
}

function aborted(cause: unknown): HaulError {
  if (HaulError.is(cause)) return cause;
  return new HaulError('ABORTED', 'the body ended before it was whole', {}, cause);
}

function tooSlow({ bytesPerSec, windowMs }: PaceRule): HaulError {
  const text = `the body came slower than ${bytesPerSec} bytes per second for ${windowMs / 1000} s`;
  return new HaulError('TIMEOUT', text, { bytesPerSec });
}

function watch(look: () => void): void {
  waiting.add(look);
  timer ??= setInterval(() => {
    for (const one of [...waiting]) one();
  }, LOOK_MS).unref();
}

function unwatch(look: () => void): void {
  waiting.delete(look);
  if (waiting.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}
