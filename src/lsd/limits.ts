/**
 * Every limit of local service discovery (BEP 14), with its unit and its reason: anybody of the network can send what
 * we read. They are no options.
 */
export const LSD_LIMITS = {
  /** A torrent is announced again after so long. */
  announceMs: 5 * 60_000,
  /** Least time between two announces of one torrent, those that answer others included. */
  pauseMs: 60_000,
  /** Who hears an announce waits up to so long before it answers: a whole network would answer in one instant. */
  answerSpreadMs: 3_000,
  /** The longest datagram that we send: it is not cut on its way. */
  datagramBytes: 1_400,
  /** The longest that we read: some have a few headers more. */
  readBytes: 1_500,
  /** Torrents that go into a datagram of their own: older clients read the first info-hash of each only. */
  single: 5,
  /** Datagrams in one second, on each network. */
  datagramsPerSecond: 5,
  /** Datagrams of one address that are read in a second; of IPv6 too, where a network is one /64. */
  readPerAddressPerSecond: 10,
  /** The same at once, after a silence: a client with many torrents begins. */
  readPerAddressBurst: 100,
  /** Of all addresses. */
  readPerSecond: 200,
  /** The same at once. */
  readBurst: 1_000,
  /** Addresses of which is remembered how much they sent. */
  addressesWatched: 4_096,
  /** Ports of one address that are believed; more would let it send us to each port of a host. */
  portsPerAddress: 8,
  /** After so long others are. */
  portsMs: 10 * 60_000,
  /** Peers that are believed of one torrent in a minute. */
  peersPerMinute: 100,
  /** Interfaces that are used, of each family: a host of containers has hundreds. */
  links: 16,
  /** How often interfaces are looked at: they come and go. */
  linksMs: 30_000,
} as const;
