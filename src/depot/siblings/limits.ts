/** Limits between depots of one store, each with its unit and its reason. Pure. */
export const SIBLING_LIMITS = {
  /** Milliseconds: one that shows no sign of life for so long is not waited for. */
  silenceMs: 2_000,
  /** While it waits for S3 itself it shows one so often. */
  signMs: 500,
  /** Milliseconds that it may wait for S3. */
  waitMs: 30_000,
  /** Bytes per second that its answer has at least: slower ones are of no use beside S3. */
  leastBytesPerSec: 2 ** 20,
  /** Milliseconds between looks for those that are away, and for those that are there. */
  lookMs: 1_000,
  lookAgainMs: 5_000,
  /** One that came looks for us, and we for it, so often at most. */
  hurryMs: 100,
  /** One that failed is left alone so long, twice as long each time; one that lied for ten minutes. */
  awayMs: 2_000,
  awayMsMax: 300_000,
  liedMs: 600_000,
  /** Longest answer that is no chunk. */
  answerBytes: 1024,
} as const;

export type SiblingTimes = { readonly [name in keyof typeof SIBLING_LIMITS]: number };
