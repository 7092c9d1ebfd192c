/** Rates as they are asked for. Pure. */
import type { RateLimits } from '../api.js';

/** Bytes per second; undefined: unlimited. */
export interface RateOptions {
  readonly downloadBytesPerSec?: number | undefined;
  readonly uploadBytesPerSec?: number | undefined;
}

/** With what is named changed, where null means none. */
export function changedRates(
  { downloadBytesPerSec, uploadBytesPerSec }: RateOptions,
  { downloadBytesPerSec: down, uploadBytesPerSec: up }: RateLimits,
): RateOptions {
  return {
    downloadBytesPerSec: down === undefined ? downloadBytesPerSec : (down ?? undefined),
    uploadBytesPerSec: up === undefined ? uploadBytesPerSec : (up ?? undefined),
  };
}
