/**
 * Every limit of the DHT, with its unit and its reason: strangers fill it, and strangers are sent what it knows. They
 * are no options.
 */
export const DHT_LIMITS = {
  /** A datagram that is not cut on its way; others send no longer ones. */
  messageBytes: 1500,
  /** Of a query of others, given back in the answer: two or four are usual. */
  transactionBytes: 32,
  /** Of others, given back in an announce: eight or twenty are usual. */
  tokenBytes: 64,
  /** The longest answer, so that a forged query of 90 bytes makes us send a victim seven times as much at most. */
  answerBytes: 640,
  /** Nodes in a bucket, in an answer, and of the closest to whom something is announced: K of BEP 5. */
  bucketNodes: 8,
  /** Nodes that are believed of one reply: some give two buckets. */
  nodesPerReply: 16,
  /** Queries of one lookup under way; one that is slow does not count any more. */
  lookupParallel: 4,
  /** An answer takes a round trip; who needs longer is not waited for. */
  slowAnswerMs: 1_000,
  /** Who has not answered after that is not there. */
  answerTimeoutMs: 4_000,
  /** Nodes that one lookup keeps, the closest. */
  lookupCandidates: 64,
  /** Nodes that one lookup asks: some 30 are enough where nobody lies. */
  lookupQueries: 128,
  /** Lookups at once; others wait. */
  lookups: 8,
  /** Addresses of peers that one lookup believes. */
  lookupPeers: 500,
  /** Queries without an answer yet. */
  queriesUnderWay: 256,
  /** Announces that wait for room among them: those of 32 lookups, or of four times as many as run at once. */
  announcesWaiting: 256,
  /** For so long; the tokens that they give back are good for five minutes or more. */
  announceWaitMs: 60_000,
  /** Queries of ours in a second, lookups and all: a lookup takes 30, a torrent one lookup in a quarter of an hour. */
  queriesPerSecond: 100,
  /** Queries of one address (IPv6: one /64) that are answered: lookups of many torrents behind one address. */
  answersPerAddressPerSecond: 5,
  /** The same at once, after a silence. */
  answersPerAddressBurst: 30,
  /** Of all addresses: 64 KB a second of the longest answers, and twice as many at once. */
  answersPerSecond: 100,
  /** Addresses of which is remembered how often they asked. */
  addressesWatched: 4_096,
  /** Nodes that asked us and are asked whether they answer, a second: they fill the table. */
  introductionsPerSecond: 5,
  /** Nodes that peers tell us of and that are asked, a second: each peer has one. */
  toldPerSecond: 2,
  /** The same at once, after a silence: a torrent that starts. */
  toldBurst: 20,
  /** Of one address (IPv6: one /64) one in so many seconds: it names ports of its own at its will. */
  toldPerAddressSeconds: 60,
  /** The same at once: several clients behind one address. */
  toldPerAddressBurst: 4,
  /** Peers announced to us, of all torrents: 200 bytes each or so. */
  storedPeers: 20_000,
  /** Of one torrent: more do not fit an answer. */
  storedPerTorrent: 200,
  /** Of one address (IPv6: one /64): it may share many torrents, and does not take the place of all others. */
  storedPerAddress: 500,
  /** A peer that is not announced again is forgotten: others do so every quarter of an hour. */
  peerExpiryMs: 30 * 60_000,
  /** How often a torrent looks for peers and announces itself; what is announced lasts half an hour or so. */
  announceMs: 15 * 60_000,
  /** How often one that has too few peers does. */
  hungryAnnounceMs: 60_000,
  /** Nodes and buckets that were not heard of for so long are asked (BEP 5). */
  quietMs: 15 * 60_000,
  /** Nodes to begin with that can be configured. */
  bootstrapNodes: 64,
  /** Nodes that are kept over a restart: a table has fewer. */
  savedNodes: 400,
  /** Of their file: so many nodes of both families take half of it. */
  nodeFileBytes: 64 * 1024,
  /** How often the nodes that are known are written to their file. */
  saveMs: 5 * 60_000,
} as const;
