/** Every limit of the tracker, with its unit and its reason. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Of the tracker we run. Strangers talk to it: whatever they can make it hold is bounded here. */
export const TRACKER_LIMITS = {
  /**
   * Swarms of an open tracker: anybody can make one. With one peer it costs 1.3 KB, with ten 2.2 KB (heap and buffers,
   * Node 20).
   */
  swarms: 100_000,
  /** Peers of one swarm, both families together. */
  peersPerSwarm: 100_000,
  /** Peers of all swarms. Of a million in large swarms 100 bytes each (IPv4), 30 more with zones. */
  peers: 1_000_000,
  /**
   * Entries that one address (of IPv6 one /64) keeps when a table is full: a twenty-fifth of a swarm, and a fleet of
   * thousands behind one address. An option, since nobody else knows the fleet.
   */
  entriesPerAddress: 4_096,
  /** Shares of addresses that a /24 (IPv6: a /48) may have together. */
  addressSharesPerPrefix: 4,
  /** The file that keeps the tables: of 30 to 110 bytes a peer; what does not fit is left out. */
  stateBytes: 64 * MIB,
  /** Peers in one reply. */
  numwantMax: 200,
  /** For who names no number, as other trackers do. */
  numwantDefault: 50,
  /**
   * Connections at the door of announces; with those of HTTP about half of the descriptors a process usually may open
   * on a server.
   */
  announceConnections: 12_288,
  /** Of one address (IPv6: one /64) once all are taken: a sixteenth. */
  announceConnectionsPerAddress: 768,
  /** Connections of HTTP: the .torrent, and announces that did not come plain. */
  httpConnections: 4_096,
  /** Of one address (IPv6: one /64) once all are taken: a sixteenth. */
  httpConnectionsPerAddress: 256,
  /** One announce; 100 info-hashes of a scrape fit. */
  requestBytes: 16 * KIB,
  /**
   * Replies made for one connection before its next request is read: four of the largest (200 peers, not compact). 64
   * KiB of pipelined requests made 9.4 MB of replies for somebody who reads none.
   */
  replyBytesPerConnection: 64 * KIB,
  /** Replies, and requests behind them, that wait for slow readers: the whole tracker. */
  waitingBytes: 64 * MIB,
  /** The same, of one address once that is used up. */
  waitingBytesPerAddress: 4 * MIB,
  /** Answers with data of what is shared, under way at once: peers are served beside them, and spread it further. */
  dataAnswers: 16,
  /** Of one address (IPv6: one /64): as many as a client asks at once. */
  dataAnswersPerAddress: 4,
  /** Whoever comes beyond that is told to come again after this. */
  dataRetrySeconds: 5,
  /** An answer of which less than this was taken in `dataIdleMs` ends: others wait. */
  dataIdleBytes: 512 * KIB,
  /** How long a reader may take for `dataIdleBytes`. */
  dataIdleMs: 20_000,
  /**
   * Requests of one HTTP connection without an answer; no client sends more than one at a time. Node reads 64 KiB of
   * them at once. Of the data of what is shared clients do: there no more are read while so many wait.
   */
  httpRequestsPerConnection: 8,
} as const;
