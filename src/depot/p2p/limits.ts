/** Limits of publishing by peers, each with its unit and its reason. Pure. */

const MINUTE_MS = 60_000;

export const P2P_LIMITS = {
  /** A .torrent of ours: hashes of half a million pieces of 16 MiB fit, which is 8 TiB. */
  torrentBytes: 10 * 1024 * 1024,
  /** Publishes that are not over, of all, */
  publishes: 64,
  /** and of one token, or of one address (IPv6: one /64) where no token is needed. Then one that rests gives way. */
  publishesPerOwner: 32,
  /** Less than this: nobody gives anything, and it rests. As with uploads. */
  bytesPerSec: 4 * 1024,
  /** That is looked at once in so long. */
  windowMs: MINUTE_MS,
  /** What rests is kept for so long, for its publisher to go on. */
  keepMs: 24 * 60 * MINUTE_MS,
  /** How it ended is told for so long, */
  toldMs: 10 * MINUTE_MS,
  /** and of so many at most. */
  told: 256,
  /** The tracker's own table is looked at again for peers after so many seconds without one, */
  peerLookSeconds: 1,
  /** after so many with some, */
  peerLookSecondsInCompany: 15,
  /** for so many of them. */
  peers: 20,
} as const;
