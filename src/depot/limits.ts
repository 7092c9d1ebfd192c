/** Limits of the depot behind its doors, each with its unit and its reason. Pure. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEPOT_LIMITS = {
  /** Longest artifact, where no option says otherwise. */
  artifactBytes: 2 ** 44,
  /** Days that an artifact stays at most, unless it is for ever: a hundred years, and times stay exact. */
  retentionDays: 36_500,
  /** Copies that may be asked for: as many hosts as one swarm has with ease. */
  replicas: 1000,
  /** Of a whole name in UTF-8: what file systems and proxies bear in a URL. */
  nameBytes: 1024,
  /** Parts of a name, with slashes between. */
  nameParts: 32,
  /**
   * Free bytes of the disk below which nothing is taken in, of a small disk a twentieth: with them the catalogue is
   * mended and names are removed.
   */
  freeBytes: 16 * MIB,
  /**
   * Set aside in the folder of the catalogue, and given up on a full disk: to be opened anew LevelDB writes a table of
   * what its log holds (4 MiB), and files of a few KiB.
   */
  ballastBytes: 8 * MIB,
  /**
   * Blobs up to this long are held in memory while they come, are written in company, and are hashed whenever they are
   * read: that costs less than to keep a stamp of each.
   */
  smallBlobBytes: 64 * KIB,
  /** Of all uploads together, in memory. Beyond the half each chunk is written when it comes. */
  heldBytes: 64 * MIB,
  /** Hashing that is further behind holds the upload up: what it reads is to be in memory still. */
  hashLagBytes: 128 * MIB,
  /** Buffers of 1 MiB, two for each reader; whoever comes when all are taken reads 64 KiB at a time. */
  readerBuffers: 128,
  /** Blobs that are forced to the device together. */
  groupBlobs: 512,
  /** Artifacts of one folder's torrent: each is a link in a folder while it is awake. */
  folderFiles: 10_000,
  /** Of all of them together: hashing as much takes some twenty minutes. */
  folderBytes: 2 ** 40,
  /** Torrents of folders that are kept; the one wanted least lately makes room. */
  folderTorrents: 1_000,
  /** Of what is kept of them, on disk. */
  folderRecordBytes: 256 * MIB,
  /** Folders that are hashed at once, for all who ask. */
  folderHashings: 2,
  /** That wait for it; an address may have as many as `fair-places.ts` says. */
  folderHashingsWaiting: 64,
  /** Who asks for a folder that is being hashed is told to come again after this. */
  folderWaitMs: 20_000,
  /** Nobody has asked for it for so long: it is hashed no further. */
  folderLingerMs: 30_000,
  /** Threads that hash, where there are so many processors. */
  hashThreads: 4,
} as const;
