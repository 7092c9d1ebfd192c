/** Waiting for outcomes, never for time: every wait names what it waits for and has a deadline. */

const POLL_MS = 20;

/** Rejects with a line that names `what` when the promise has not settled in time. */
export async function withDeadline<T>(promise: Promise<T>, what: string, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${timeoutMs} ms: ${what}`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Polls until `probe` gives something other than undefined or false, and returns that.
 * A probe that throws ends the wait: expected trouble is for the probe to catch.
 */
export async function until<T>(
  what: string,
  timeoutMs: number,
  probe: () => T | Promise<T>,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const outcome = await probe();
    if (outcome !== undefined && outcome !== false) return outcome as Exclude<T, undefined | false>;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
