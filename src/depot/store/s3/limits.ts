/** Limits of the store on S3, each with its unit and its reason. Pure. */

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export const S3_LIMITS = {
  /** Parts of an upload, as short as they begin: S3 takes 5 MiB at least, and each costs a round trip. */
  partBytes: 8 * MIB,
  /** Longest part that S3 takes is 5 GiB. */
  partBytesMax: 4 * GIB,
  /** Parts of one upload that S3 takes. */
  parts: 10_000,
  /** Of an upload of unknown length, parts of one length; those that follow are twice as long. */
  partsOfLength: 500,
  /** Longer parts are read while they are sent; up to here one is in memory whole, and the SDK may send it again. */
  heldPartBytes: 64 * MIB,
  /** Up to here a blob is one PUT, when its digest is known. */
  singleBytes: 16 * MIB,
  /** Parts under way, of one upload and of all: each may hold a part in memory. */
  partsAtOnce: 6,
  allPartsAtOnce: 24,
  /** What an upload may be ahead of its parts; then it is held up. */
  lagBytes: 64 * MIB,
  /** What is fetched, verified and kept in the cache at a time, or one piece where that is longer. */
  chunkBytes: 8 * MIB,
  /** The same for peers, of a blob that is longer than the cache. */
  shortChunkBytes: MIB,
  /** Chunks that are fetched before a reader comes to them; each is in memory while it is fetched. */
  chunksAhead: 2,
  chunksAtOnce: 12,
  /** Chunks that other depots are asked for at once, for us and for each other. */
  partsAsked: 6,
  /** Buffers of a chunk or a part that are kept for the next. */
  spareBuffers: 8,
  /** Threads that hash chunks. */
  hashThreads: 2,
  /** Hashes of pieces that are kept in memory, bytes. */
  recordsBytes: 32 * MIB,
  /** Lengths of blobs that are remembered. */
  lengths: 100_000,
  /** Longest object beside a blob that is read: hashes of pieces of 16 TiB in base64. */
  besideBytes: 64 * MIB,
  /** Requests of one listing or removal that are under way. */
  requestsAtOnce: 16,
  /** The cache, where no option says otherwise, and the least it can be. */
  cacheBytes: 16 * GIB,
  cacheBytesMin: 64 * MIB,
  /** After evicting, this share of the cache is full. */
  cacheLow: 0.9,
  /** Milliseconds: connect, silence of a connection, a small request with all its repetitions, one chunk. */
  connectMs: 3_000,
  silenceMs: 15_000,
  requestMs: 30_000,
  chunkMs: 60_000,
  attempts: 5,
  /** Uploads of others that were not ended in so long are nobody's. Milliseconds. */
  abandonedMs: 7 * 24 * 60 * 60 * 1000,
  /** What `/readyz` says holds so long. */
  readyMs: 5_000,
  /** It says so when the bucket takes longer. */
  readyWithinMs: 2_000,
} as const;
