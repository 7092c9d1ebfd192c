/** Limits of the door for the Actions cache, each with its unit and its reason. Pure. */

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export const CACHE_LIMITS = {
  /** A body that is held whole has come in that time. */
  smallBodyMs: 10_000,
  /** Of one entry: as much as GitHub takes in all. */
  entryBytes: 10 * GIB,
  /** Entries on their way in at once. */
  uploads: 256,
  /** Bytes of them that lie in files at once. */
  stagedBytes: 64 * GIB,
  /** An upload of which nothing is heard for so long was interrupted: its key is free again. */
  idleMs: 5 * 60_000,
  /** A job takes its time between asking for a link and using it. */
  linkMs: 6 * 60 * 60_000,
  /** A body of JSON: a key and ten others. */
  jsonBytes: 64 * KIB,
  /** A list of 50,000 blocks with ids of 64 bytes. */
  blockListBytes: 8 * MIB,
  /** Names that are looked at for one that begins so. */
  lookedNames: 10_000,
  /** Keys of one lookup, the first one included. */
  keys: 11,
} as const;
