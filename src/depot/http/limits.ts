/** Limits of the depot's HTTP server, each with its unit and its reason. Pure. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEPOT_HTTP_LIMITS = {
  /** Request line and headers of one request: a name of 1 KiB, percent-encoded, and 100 info-hashes fit. */
  headerBytes: 16 * KIB,
  /** Between the first byte of a request and the end of its headers; and for a handshake of TLS. */
  headersTimeoutMs: 10_000,
  /** A connection without a request is kept for so long. */
  keepAliveMs: 15_000,
  /**
   * Who has ended its side of a connection still gets its answer; one for whom we have had nothing for so long is taken
   * to be gone: what it asked for is no longer looked for.
   */
  halfClosedMs: 5_000,
  /** Requests with a body under way at once; how many of them one address may have says `fair-places.ts`, as below. */
  uploads: 256,
  /** Requests that wait for such a place, shared in the same way; others are told to come again, */
  uploadsWaiting: 1_024,
  /** and so are these after so long: a slow upload has given way by then. */
  uploadWaitMs: 15_000,
  /** Of an upload that was waited for that long less than */
  slowUploadMs: 10_000,
  /** so much a second came: where no place is left it gives its own to who wants one. */
  slowUploadBytesPerSec: 64 * KIB,
  /** Artifacts being sent at once; beyond that the slowest that had time enough gives way, or 503. */
  answers: 512,
  /** With so many an address (IPv6: one /64) makes nobody give way. */
  answersPerAddress: 128,
  /** An answer of which no part (256 KiB) was taken in so long gives way to the next one of its own address. */
  answerStuckMs: 10_000,
  /** An answer of which no part (256 KiB) was taken in so long ends: 4 KiB/s, and a slow line takes more. */
  answerIdleMs: 60_000,
  /** What tells chunks apart is as long as the body at most, or so long: some 13,000 chunks of a byte. */
  chunkOverheadBytes: 64 * KIB,
  /** Chunks of less than 1 KiB that all bodies together may bring a second: each takes a microsecond. */
  smallChunksPerSec: 250_000,
  /** Who has brought such chunks is read again after so long at most. */
  smallChunksMs: 2_000,
  /** What is read of a body that nobody wants, so that its sender sees the answer before the connection ends, */
  unwantedBytes: MIB,
  /** and for how long. */
  unwantedMs: 2_000,
  /** Whoever finds all places taken is told to come again after this. */
  retrySeconds: 5,
  /** Rows of one page of a listing. */
  listRows: 1_000,
  /** For who names no number. */
  listRowsDefault: 100,
  /** Rows that one request looks at for a pattern; what comes behind is the next page's. */
  listLooked: 10_000,
  /** Steps of a pattern times characters of names that one request works through: some 20 ms, others wait meanwhile. */
  listWork: 2_000_000,
  /** Characters of a pattern. */
  patternCharacters: 256,
  /** Steps of all alternatives together: a name of 1,000 characters costs so many thousand at most. */
  patternSteps: 512,
  /** Alternatives that the braces of a pattern make. */
  patternAlternatives: 64,
  /** Who listens to /events at once. */
  listeners: 64,
  /** Of one address (IPv6: one /64). */
  listenersPerAddress: 16,
  /** Bytes of events that wait for one listener; who is slower is let go of and may come again. */
  listenerBytes: 256 * KIB,
  /** A comment for each listener, so that proxies keep the connection. */
  listenerBeatMs: 15_000,
  /** Uploads that are under way when the depot is told to stop may go on for so long. */
  graceMs: 30_000,
  /** Wrong tokens and passkeys of one address (IPv6: one /64), more than a fleet with an old one has, */
  guesses: 600,
  /** in so long. */
  guessesMs: 60_000,
  /** Addresses whose guesses are counted at once. */
  guessers: 4_096,
  /** Tokens of one file. */
  tokens: 10_000,
} as const;
