/** Waiting that ends when the command is interrupted. */

/** The longest delay setTimeout takes; longer waits are made of several. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/**
 * Fires when one of the two does. Not `AbortSignal.any`, which holds its sources weakly: on Node 20 one over
 * `AbortSignal.timeout` never fires once garbage was collected. The listeners stay: for signals that live as long as
 * the command.
 */
export function eitherSignal(a: AbortSignal, b: AbortSignal): AbortSignal {
  const controller = new AbortController();
  for (const signal of [a, b]) {
    if (signal.aborted) controller.abort();
    else signal.addEventListener('abort', () => controller.abort(), { once: true });
  }
  return controller.signal;
}

/** Waits for a promise or the signal. A rejection of the promise passes through; after an abort it is ignored. */
export function settledOrAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<'settled' | 'aborted'> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve('aborted');
    const forget = (): void => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(
      () => {
        forget();
        resolve('settled');
      },
      (error: unknown) => {
        forget();
        reject(error);
      },
    );
  });
}

/** Waits that many milliseconds (Infinity: for ever) or until the signal fires. */
export function delayOrAborted(ms: number, signal: AbortSignal): Promise<'elapsed' | 'aborted'> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve('aborted');
      return;
    }
    let leftMs = ms;
    let timer: NodeJS.Timeout;
    const onAbort = (): void => {
      clearTimeout(timer);
      resolve('aborted');
    };
    const next = (): void => {
      if (leftMs <= 0) {
        signal.removeEventListener('abort', onAbort);
        resolve('elapsed');
        return;
      }
      const stepMs = Math.min(leftMs, TIMER_MAX_MS);
      leftMs -= stepMs;
      timer = setTimeout(next, stepMs);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    next();
  });
}
