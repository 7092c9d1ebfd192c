/**
 * Every knob and limit of the engine, with its unit and its reason.
 * Limits guard against hostile input and are not options; defaults may be overridden through `EngineOptions`.
 */

/** The request unit all clients agree on (BEP 3; others refuse larger requests). Bytes. */
export const BLOCK_LENGTH_BYTES = 16 * 1024;

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  /**
   * Largest peer message body accepted. A bitfield of `pieceCount` pieces is 256 KiB, an extended message a few KiB.
   */
  messageBytes: MIB,
  /** Largest request length served to anybody. BEP 3 practice: 16 KiB; 128 KiB covers old clients that ask for more. */
  requestBytes: 128 * KIB,
  /** Less memory for pieces and units than this is asked for by mistake. */
  memoryBytesMin: 16 * MIB,
  /**
   * Longest request for blocks in a row that is served to a peer that knows such runs (`haul_request_bytes`), and asked
   * of one. One message costs as much as one block; beyond a quarter of a megabyte there is little left to save, and
   * what is lost with a connection grows.
   */
  runBytes: 256 * KIB,
  /** A .torrent that is read, fetched or made: it is held whole. Hashes of half a million pieces fit. */
  torrentFileBytes: 10 * MIB,
  /**
   * Lists and dictionaries inside each other: the decoder behind the guard recurses. The file tree of a hybrid (BEP 52)
   * is as deep as its folders.
   */
  bencodeDepth: 100,
  /** Values in one bencoded text: two bytes may be one, and each becomes an object. */
  bencodeTokens: 2_000_000,
  /** 2^21: keeps piece indices and bitfields well inside int32 and one message. */
  pieceCount: 2_097_152,
  /** A piece must fit the open-piece budget several times over. */
  pieceLengthBytes: 64 * MIB,
  /** Exact integers in a double, and far above any file system here. */
  torrentLengthBytes: 2 ** 50,
  /** Files of one torrent: each has rows in our tables. A .torrent of `torrentFileBytes` names fewer. */
  fileCount: 1_000_000,
  /** Folders inside each other: a walk recurses. */
  pathDepth: 100,
  /** Bytes of one path component in UTF-8 (ext4, XFS, APFS and NTFS agree on 255). */
  pathNameBytes: 255,
  /** Requests queued per peer for serving; what we advertise as `reqq` (BEP 10). */
  requestsPerPeer: 2000,
  /** Bytes handed to a socket and not yet taken by the kernel, per peer. */
  sendBytesPerPeer: 2 * MIB,
  /**
   * The same for a peer that takes 256 MB/s, and in proportion between: what goes out in 30 ms. Each time it has left
   * we are woken, and so is a worker.
   */
  swiftSendBytesPerPeer: 8 * MIB,
  /** The same for a peer that is new, or slow to read: two units of memory at most are kept for it. */
  slowSendBytesPerPeer: 256 * KIB,
  /**
   * Blocks on their way to one peer are bounded as if each had so many bytes at least: one of a byte costs as much
   * heap as any, some 350 bytes. Half of a usual block.
   */
  sentBlockBytesAtLeast: 8 * KIB,
  /** Whatever all peers together have on their way, each may have so many blocks. */
  sentBlocksAtLeast: 4,
  /** Seconds for which a peer may let what it asked for lie while others wait for the memory that this keeps. */
  idleHolderSeconds: 3,
  /**
   * Who takes less a second may be let go of while others wait for memory: two units for so little. A slow line takes
   * more.
   */
  leastHolderBytesPerSec: 64 * KIB,
  /** Bytes being read ahead for one peer's queued requests. */
  readAheadBytesPerPeer: 8 * MIB,
  /** Default of `maxConnectionsPerTorrent`. More peers give no more: 500 give 80 % of the rate of four. */
  connectionsPerTorrent: 500,
  /**
   * Default of `maxConnections`, of all torrents together; fewer where the process may not open so many files. 4,000
   * idle ones cost 8 ms of CPU a second.
   */
  connectionsPerEngine: 4000,
  /** Dials of all torrents: strangers name the addresses, and we must not knock at doors like a scanner. */
  dialsPerSecond: 30,
  /** For so long a connection that could not be accepted is a problem worth showing. */
  doorTroubleMs: 60_000,
  /** Dials of peers that the user named, beside the others: there are few, and somebody waits for them. */
  namedDialsPerSecond: 10,
  /**
   * Dials under way per engine, shared evenly by its torrents: ten seconds' worth, for a dead address keeps one for as
   * long as a handshake may take.
   */
  halfOpenDials: 300,
  /** Whatever the number of torrents, each may have so many under way. */
  halfOpenMin: 8,
  /** For connecting and the handshake together: TCP repeats a lost SYN after 1, 3 and 7 s. */
  handshakeTimeoutMs: 10_000,
  /** Accepted connections without a handshake, of one address. Beyond that whoever is silent for longest makes room. */
  handshakesPerAddress: 64,
  /** The same, of all addresses. */
  handshakesPending: 512,
  /**
   * Torrents that are woken at the same time: each reads its metainfo and opens its files. Others wait their turn, as
   * long as a handshake may take.
   */
  wakesAtOnce: 8,
  /** Torrents that wait for their turn to be woken; who wants one more is not waited for. */
  wakesWaiting: 256,
  /** A torrent that could not be woken is not tried again before that: its owner would be asked by every stranger. */
  wakeRetryMs: 10_000,
  /**
   * A wake that nobody waits for any more keeps its turn for so long, while its owner is still at it: else each
   * time-out would begin as many again.
   */
  wakeHangMs: 60_000,
  /** Connections that wait for a torrent to wake, of one address (IPv6: one /64). */
  parkedPerAddress: 64,
  /** The same, of all addresses, and at most a quarter of `maxConnections`. */
  parkedHandshakes: 256,
  /**
   * What one of them has sent behind its handshake: words of extensions and which of a million pieces it has take 130
   * KB.
   */
  parkedBytes: 256 * 1024,
  /** An honest handshake comes within a second or two, also when a whole fleet comes at once. */
  silentHandshakeMs: 2_000,
  /** A connection silent for that long gives way to a newer one of the same peer and host, */
  silentTwinMs: 5_000,
  /** from another host only when it has also taken nothing for that long. */
  deadTwinMs: 15_000,
  /**
   * When all that should send are silent for that long their addresses are dialled anew: a link that was down comes
   * back at once that way.
   */
  silentSourceMs: 8_000,
  /** Let in beyond a full table until it is known who they are and whose place they might take. */
  doorstepConnections: 32,
  /** In a full table: after this long a new peer has said what it has and wants, */
  settleMs: 5_000,
  /** and one that neither gave nor took a block for this long may have to yield. */
  idlePlaceMs: 60_000,
  /** Others send a keep-alive every two minutes (BEP 3), some just then: who closes after 120 s cuts them off. */
  idleTimeoutMs: 150_000,
  /** A keep-alive goes out after this much silence of ours, safely below the 2 minutes peers wait (BEP 3). */
  keepAliveMs: 90_000,
  /** A tracker's reply: 170,000 addresses in compact form (BEP 23), far more than any sends. */
  trackerReplyBytes: MIB,
  /** Redirects of one announce; then the tracker has failed. */
  trackerRedirects: 5,
  /** One announce with its redirects. */
  trackerTimeoutMs: 15_000,
  /**
   * One exchange with a UDP tracker, its connect included: enough to ask a second time after the 15 s of BEP 15. Later
   * tries are those of the next rounds.
   */
  udpTrackerTimeoutMs: 20_000,
  /** Addresses of UDP trackers with a socket, of those not in use: their connection ids are good for a minute. */
  udpTrackersKept: 32,
  /** Announces that wait for an answer and have a place, over all torrents of an engine. */
  announcesAtOnce: 50,
  /** Of one host, with those that gave their place back: a tracker that does not answer leaves places to others. */
  announcesPerHost: 40,
  /** A place is given back after so long without an answer: silent trackers hold up nobody. The announce goes on. */
  announcePlaceMs: 2_000,
  /** All announces under way, with those that gave their place back: as many connections. */
  announcesUnanswered: 256,
  /** Of these, kept for who stops or misses data: seeds with silent trackers must not hold up a download. */
  announcesKeptForUrgent: 56,
  /** A tracker that names a shorter interval is asked this often. */
  announceIntervalMinMs: 30_000,
  /** A tracker may permit who is short of peers to ask as often as this (`min interval`). */
  announceMinIntervalMs: 10_000,
  /** What a tracker may name as its interval at most: else one reply would silence us for good. */
  announceIntervalMaxMs: 2 * 60 * 60_000,
  /** Addresses remembered per torrent. */
  knownAddresses: 5000,
  /**
   * The first ban of a peer that sent bad data, twice as long each time: a disk that was bad is replaced, and an
   * address passes on to somebody else,
   */
  banFirstMs: 30 * 60_000,
  /** up to this. */
  banLastMs: 2 * 60 * 60_000,
  /** Names of peers that are looked up at once: the system has few threads for that, and trackers need them too. */
  nameLookupsAtOnce: 1,
  /** Names that wait for their turn; one more is tried again later. */
  nameLookupsWaiting: 256,
  /** Name servers answer in a second or two. */
  nameLookupMs: 10_000,
  /** Addresses of one name of a peer: an answer holds more only where somebody wants us to knock at doors. */
  addressesPerName: 32,
  /** Entries of a list of peers that are allowed or denied: public ones have 300,000; so many take 16 MB at most. */
  peerRanges: 500_000,
  /** Extended messages other than metadata are small; the handshake too. */
  extendedHandshakeBytes: 64 * KIB,
  /**
   * A handshake is repeated to switch an extension on or off (BEP 10). Each costs a parser run: a flood of them is
   * refused.
   */
  extendedHandshakesPerPeer: 32,
  /** A message of peer exchange (BEP 11): 50 addresses each of those that came and left take 2 KB; some send more. */
  pexBytes: 16 * KIB,
  /** Peers that came, and peers that left, in one message; and addresses that one peer is believed in a minute. */
  pexAddresses: 50,
  /** Between two messages to or of one peer (BEP 11). */
  pexIntervalMs: 60_000,
  /** Messages of one peer that came too soon or say nothing that can be read; then it is dropped. */
  pexIgnored: 10,
  /** For so long one is not dialled that, as we, wants nothing more and has a part only (BEP 21). */
  uploadOnlyPauseMs: 30 * 60_000,
  /** A magnet link: pages hold none with more than some dozens of trackers. */
  magnetCharacters: 1024 * 1024,
  /** Trackers of one that are used: as many as are announced to. */
  magnetTrackers: 100,
  /** Web seeds of one. */
  magnetWebSeeds: 100,
  /** Peers (`x.pe`) of one: a link must not make us knock at doors like a scanner. */
  magnetPeers: 50,
  /** An info dictionary that is fetched of peers (BEP 9): with trackers and web seeds it becomes a .torrent. */
  metadataBytes: 10 * MIB - 512 * KIB,
  /** Peers connected to fetch it, and as many again that came by themselves: one honest one is enough. */
  metadataPeers: 16,
  /** In a full table one that came by itself, and has said nothing of metadata for so long, makes place. */
  metadataSettleMs: 2_000,
  /** Copies put together at once of peers that name different lengths, and as many of single peers: bounds memory. */
  metadataCopies: 4,
  /** Requests under way at one peer: 64 KiB, a round trip's worth for what is small. */
  metadataRequestsPerPeer: 4,
  /** What one peer was asked is asked of another after so long, */
  metadataAgainMs: 2_000,
  /** and who answers nothing for so long is let go of. */
  metadataAnswerMs: 10_000,
  /** After a rejection a peer is asked nothing for so long, twice as long after the next, */
  metadataRestMs: 2_000,
  /** and so often in a row. */
  metadataRejects: 5,
  /** Pieces of metadata that nobody asked for: late answers are some, a flood is none. */
  metadataUnasked: 64,
  /** Who gives a copy alone may take so long for it while others wait to give theirs; twice as long the next time. */
  metadataTurnMs: 20_000,
  /** A peer that has no metadata to give makes place for others after so long. */
  metadataIdleMs: 20_000,
  /**
   * Of the info dictionary (BEP 9) a peer is given all twice, so many pieces of 16 KiB more: who loses a connection
   * begins anew, and some ask several of us at once,
   */
  metadataSparePieces: 16,
  /** and then one piece in so long. */
  metadataPieceEveryMs: 2_000,
  /** A host, over all its connections, is given as much as so many peers. */
  metadataPeersPerHost: 8,
  /** Hosts of which a torrent remembers what they were given: those that asked last. */
  metadataHosts: 1_000,
  /** Pieces that one peer has asked for and that wait for the upload limit: clients ask for a few at a time. */
  metadataWaiting: 16,
  /** What is asked beyond that is rejected. So many times; then the peer is dropped. */
  metadataRejectsPerPeer: 1_000,
  /** Web seeds of a torrent in use at once (BEP 19); the others are for when one fails. */
  webSeeds: 8,
  /** A web seed at the host of a tracker, as of `haul share`, is used by who had no peer for so long. */
  ownWebSeedMs: 3_000,
  /** Requests under way at one web seed: the next answer is on its way while one is read. */
  webSeedRequests: 4,
  /** From the request to the first byte, and between two bytes. */
  webSeedTimeoutMs: 20_000,
  /** A web seed that gave no whole block for so long while it was asked has failed: others may take its place. */
  webSeedBlockMs: 60_000,
  /** Of requests that it refuses beside others it gets fewer at once, and one more again after so long. */
  webSeedRefusedMs: 30_000,
  /** Of one request; then the web seed has failed. */
  webSeedRedirects: 5,
  /** Servers, of all torrents, to which there are connections at once: a torrent and its servers name any number. */
  webSeedOrigins: 128,
  /** How long a connection is kept that nobody uses, whatever its server says. */
  webSeedIdleMs: 10_000,
  /** A web seed that failed is tried again after this, twice as long each time, */
  webSeedRetryMs: 5_000,
  /** and at least so often; one that has not what we want no sooner. */
  webSeedRetryMaxMs: 600_000,
  /**
   * A peer for which the kernel has taken nothing of ours for that long reads nothing; what it holds goes to the
   * others.
   */
  stuckSendTimeoutMs: 60_000,
} as const;

export const DEFAULTS = {
  /**
   * One address (IPv6: one /64) keeps an eighth of a full table when others knock; while there is room it may have all
   * of it.
   */
  addressesPerTable: 8,
  /** The first free port of the classic range is taken (BEP 3). */
  portRange: { first: 6881, last: 6889 },
  /** Where several share on one machine each takes the next free port for HTTP: the first is that of trackers. */
  sharePortRange: { first: 6969, last: 6988 },
  /**
   * Peers served at once. With four a leech is served by as few as one or two others by chance, and the last of 100
   * equal leeches needs 1.37 times the ideal; with eight 1.23; with all of them 1.5, for then every piece is a long
   * time on its way (`npm run sim -- flash`).
   */
  uploadSlots: 8,
  /**
   * Torrents that were woken and may sleep again: strangers decide which, so their memory, timers and files need a
   * bound. As many as may wait to be woken.
   */
  awakeTorrents: 256,
  /**
   * A seed without a peer for so long rests. Waking it takes some milliseconds, so that one who comes and goes should
   * find it awake.
   */
  restAfterMs: 60_000,
  /**
   * What an engine may hold above its idle self: 1/8 in buffers of its own, 11/16 in mapped files
   * (`storage/memory.ts`). The three below are the most that one torrent takes of it.
   */
  memoryBytes: 256 * MIB,
  /**
   * Memory held by pieces that are open for writing. Two 16 MiB pieces per peer pipeline, eight 1 MiB pieces ahead,
   * with space left.
   */
  openPieceBytes: 96 * MIB,
  /** Memory kept populated for serving, beyond what is pinned by writes in flight. */
  readCacheBytes: 96 * MIB,
  /** Written and not yet on the device; beyond it no piece is opened until the device has caught up. */
  dirtyBytes: 1024 * MIB,
  /**
   * One mapped window: the longest view that Node 20 allows, in whole pages of any size. V8 takes each view for memory
   * of its own and collects garbage: 6 GiB in windows of 1, 2 and 4 GiB cost the leech 2.12, 1.98 and 1.92 CPU-s per
   * GB, the seed 0.75, 0.67 and 0.62.
   */
  windowBytes: 4096 * MIB - 64 * 1024,
  /** Mapped windows kept before the least recently used is unmapped (vm.max_map_count is 65,530). */
  windowCount: 1024,
  /** Unit in which ranges become resident for serving and prefault. */
  residentUnitBytes: MIB,
  /** The one receive buffer of the process. */
  receiveBufferBytes: MIB,
  /** How often verified pieces are forced to the device and recorded. */
  syncIntervalMs: 5_000,
  /**
   * Recorded pieces that are hashed when a download starts again, at least: stamps do not show what another program
   * wrote while we ran. With a third of them bad, 16 miss it once in 650 times.
   */
  samplePieces: 16,
  /** And this share of all. */
  sampleShare: 0.01,
  /** And so many bytes, 40 ms of one core: what is smaller is hashed whole, so that nothing is missed. */
  sampleBytes: 64 * MIB,
  /**
   * Looks at files in use (gone? replaced? cut?), some 15 µs each; so 1,280 files are gone through in a sync interval.
   */
  filesWatchedPerSecond: 256,
  /** The timer that all torrents of an engine share. */
  tickMs: 100,
} as const;
