/** Limits of the agent, each with its unit and its reason. Pure. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Where an agent listens unless it is told. */
export const AGENT_HTTP_PORT = 7071;

export const AGENT_LIMITS = {
  /** That an agent may be told of. */
  depots: 16,
  /** What a name points to is believed for so long without asking the depot again: a job asks for one many times. */
  nameAgeMs: 1_000,
  /** Names that are remembered, for when the depot is away; the ones asked for longest ago go first. */
  names: 100_000,
  /** For the connection to the depot, */
  connectMs: 3_000,
  /** and for its answer, where nothing is cached that could be served instead; */
  answerMs: 30_000,
  /** where there is. */
  staleAnswerMs: 2_000,
  /** For its answer to a long upload: the depot sees to it that something comes. */
  uploadMs: 24 * 60 * 60_000,
  /** Between two parts of the bytes that the depot sends. */
  silenceMs: 15_000,
  /** What the depot may say of a name, */
  infoBytes: 64 * KIB,
  /** in a page of a listing: 1,000 names of 1 KiB, each thrice, */
  listingBytes: 8 * MIB,
  /** in a .torrent (160,000 pieces, and their layers), */
  torrentBytes: 16 * MIB,
  /** which comes within so long, at 140 KB/s, */
  torrentMs: 120_000,
  /** and in an answer that is passed on whole: a problem. */
  problemBytes: 16 * KIB,
  /** within so long. */
  problemMs: 5_000,
  /** Connections to the depot for questions; streams have one for each fetch. Web seeds come beside. */
  connections: 32,
  /** Uploads that are passed on at once; the next ones wait. */
  uploads: 32,
  /** What copies of uploads for the cache may take of memory together: four long ones; */
  copiesBytes: 40 * MIB,
  /** a long one: what waits for the disk, and what a spool keeps; */
  copyBytes: 10 * MIB,
  /** longer ones than this part of the cache are not kept: what is in use there stays. */
  copyShare: 0.1,
  /** A blob of up to so many bytes is one file without a record, hashed whenever it is read. */
  smallBytes: 4 * MIB,
  /** Read of a cached blob at once: what the kernel copies while the one before is sent. */
  readBytes: 512 * KIB,
  /** The first one, so that somebody has the first byte while the next is read. */
  firstReadBytes: 128 * KIB,
  /** A fetch from which nothing has come for so long, while the depot is away, is given up. */
  stallMs: 20_000,
  /** It is taken for away where it does not answer within so long what is asked since nothing comes: is it gone? */
  goneAnswerMs: 10_000,
  /** One of which less than so many bytes came, */
  stuckBytes: 64 * KIB,
  /** in so long, is given up wherever the depot is: nobody waits for 500 bytes a second. */
  stuckMs: 120_000,
  /** A fetch that nobody waits for goes on when so much of it is here; else it is stopped, and what came is kept. */
  goesOnShare: 0.5,
  /** How long a torrent that nobody takes from stays awake. */
  sleepMs: 30_000,
  /** Blobs that are fetched at once; who wants another waits. */
  fetches: 64,
  /** Blobs that are passed through since the cache has no room, each with a piece of its torrent in memory. */
  throughs: 8,
  /** Who has waited so long for one of these is told to come again. */
  turnMs: 60_000,
  /** Part of what the cache may hold that is left after it was tidied. */
  lowMark: 0.9,
  /** Default of what the cache may hold, as part of the disk. */
  diskShare: 0.5,
  /** A part of a blob that nobody asked for in so long is removed. */
  partAgeMs: 7 * 24 * 60 * 60_000,
  /** Receipts that can be asked for, the latest. */
  receipts: 1_000,
  /** Who asks for the receipt of an answer that is still under way waits for so long. */
  receiptMs: 2_000,
  /** Answers under way when the agent is told to stop may go on for so long. */
  graceMs: 5_000,
  /** Blobs of which the tracker of the depot is told while they sleep, the last used ones. */
  announced: 500,
  /** How often at least, where the tracker does not say. */
  announceMs: 30 * 60_000,
  /** Announces in one second, and under way at once: at ten times that an idle agent would not be idle. */
  announces: 4,
} as const;
