/**
 * A peer of the wire as its exchange sees it: what is said to it becomes messages on its link. What the link delivers
 * goes to its `Peer`, messages straight from the decoder. Owns the client's name, its port and its extensions.
 */
import { LIMITS } from '../config.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { OwnEndpoint } from '../net/own-endpoint.js';
import type { LinkHandlers, PeerLink } from '../peer/link.js';
import type { Throttle } from '../peer/throttle.js';
import type { Peer } from '../swarm/peer.js';
import type { Remote } from '../swarm/remote.js';
import { VERSION } from '../version.js';
import {
  type OutBuffer,
  writeBitfield,
  writeCancel,
  writeChoke,
  writeExtended,
  writeHave,
  writeHaveAll,
  writeHaveNone,
  writeInterested,
  writeNotInterested,
  writePort,
  writeReject,
  writeRequest,
  writeUnchoke,
} from '../wire/encoder.js';
import { EXTENDED_HANDSHAKE_ID, ExtendedGreeting } from '../wire/extensions.js';
import { clientName, type Handshake } from '../wire/handshake.js';
import { isOurClient } from '../wire/peer-id.js';
import type { DhtOfPeers } from './environment.js';
import type { MetadataShelf } from './metadata-answers.js';
import { EXTENSIONS, PeerExtensions } from './peer-extensions.js';
import type { PeerExchange } from './pex.js';

/** Handshakes (BEP 10) to one peer: others cut off who sends them without end. */
const GREETINGS_MAX = 8;

export type WirePeer = Peer<WireRemote>;

/** The last four bytes of a peer id: the random part of it. */
export function endOfId(peerId: Buffer): number {
  return peerId.readInt32LE(16);
}

/**
 * What we say of ourselves (BEP 10), to each peer the same but for its own address.
 * @param port we listen on @param metadataBytes of the info dictionary, which we give to who asks (BEP 9)
 * @param pex peers are exchanged @param uploadOnly we want nothing any more (BEP 21);
 * undefined: nothing is said of it
 */
export function makeGreeting(
  port: number | null,
  metadataBytes: number,
  pex: boolean,
  uploadOnly: boolean | undefined,
): ExtendedGreeting {
  const { ut_pex, ...others } = EXTENSIONS;
  return new ExtendedGreeting({
    m: pex ? { ...others, ut_pex } : others,
    version: `Swarmhaul ${VERSION}`,
    port,
    reqq: LIMITS.requestsPerPeer,
    requestBytes: LIMITS.runBytes,
    metadataSize: metadataBytes,
    uploadOnly,
  });
}

/** Where our node of the DHT is, for a peer that has one too (BEP 5). */
export function tellNode(out: OutBuffer, dht: DhtOfPeers | null, host: string): void {
  const port = dht?.portFor(host) ?? null;
  if (port !== null) writePort(out, port);
}

/** Who hears what a peer says of others, and of us. */
interface Told {
  /** Null: peers are not exchanged. */
  readonly pex: PeerExchange | null;
  /** Null: nothing is said of it. */
  readonly dht: DhtOfPeers | null;
  readonly own: Pick<OwnEndpoint, 'heard'>;
}

export class WireRemote implements Remote, LinkHandlers {
  readonly link: PeerLink;
  readonly host: string;
  readonly isWebSeed = false;
  readonly peerId: Buffer;
  /** Told apart more quickly than the whole of it. */
  readonly idEnd: number;
  readonly supportsFast: boolean;
  readonly supportsExtended: boolean;
  /** WebTorrent never learns of an unchoke that arrives together with our handshake, and waits for ever: ours only. */
  readonly asksAtOnce: boolean;
  client: string;
  /** The port the peer listens on (BEP 10 `p`, or the one we dialled), null when unknown. */
  listenPort: number | null;
  /** Our address as the peer sees it: a claim. */
  ownHost: string | null = null;
  readonly extensions: PeerExtensions;
  #peer: WirePeer | null = null;
  #greeting: ExtendedGreeting;
  #greetings = 1;
  readonly #dht: DhtOfPeers | null;
  readonly #own: Told['own'];
  /** It says that it is in the DHT. */
  readonly #hasNode: boolean;

  /**
   * @param greeting what we say of ourselves to all @param metadata the info dictionary
   */
  constructor(
    link: PeerLink,
    handshake: Handshake,
    greeting: ExtendedGreeting,
    metadata: MetadataShelf,
    { pex, dht, own }: Told,
  ) {
    this.link = link;
    this.host = link.host;
    this.peerId = handshake.peerId;
    this.idEnd = endOfId(handshake.peerId);
    this.supportsFast = handshake.supportsFast;
    this.supportsExtended = handshake.supportsExtended;
    this.asksAtOnce = link.isIncoming && isOurClient(handshake.peerId);
    this.client = clientName(handshake.peerId);
    this.listenPort = link.isIncoming ? null : link.port;
    this.extensions = new PeerExtensions(
      this,
      metadata,
      pex && { joined: () => pex.joined(this), heard: (payload) => pex.heard(this, payload) },
    );
    this.#greeting = greeting;
    this.#dht = dht;
    this.#own = own;
    this.#hasNode = handshake.supportsDht;
  }

  /** Who dialled us knows where; whom we dialled may be behind anything. */
  saysWeAreAt(host: string): void {
    this.ownHost = host;
    this.#own.heard(this.host, host);
  }

  /** Null: the exchange has not taken it. */
  get peer(): WirePeer | null {
    return this.#peer;
  }

  /** The exchange has taken it: what the link delivers goes there. */
  joined(peer: WirePeer, downloads: Throttle): void {
    this.#peer = peer;
    this.link.handlers = this;
    this.link.downloads = downloads;
  }

  /** "host:port" */
  get address(): string {
    return this.link.address;
  }

  /** We have connected to it, and not it to us. */
  get isReachable(): boolean {
    return !this.link.isIncoming;
  }

  get isClosing(): boolean {
    return this.link.isClosing;
  }

  get lastReadMs(): number {
    return this.link.lastReadMs;
  }

  get isResting(): boolean {
    return this.link.isResting;
  }

  get queuedBytes(): number {
    return this.link.queuedBytes;
  }

  get takenBytes(): number {
    return this.link.takenBytes;
  }

  // ---- what we say ----

  /** What we can do (BEP 10) and what we have (BEP 3, 6), or what we choose to say of it (BEP 16). */
  greet(have: Bitfield | null): void {
    const { out } = this.link;
    if (this.supportsExtended) {
      writeExtended(out, EXTENDED_HANDSHAKE_ID, this.#greeting.to(this.host));
    }
    if (this.supportsFast && have?.isFull === true) writeHaveAll(out);
    else if (have !== null) writeBitfield(out, have.bytes);
    else if (this.supportsFast) writeHaveNone(out);
    if (this.#hasNode) tellNode(out, this.#dht, this.host);
    this.link.touch();
  }

  interested(isInterested: boolean): void {
    if (isInterested) writeInterested(this.link.out);
    else writeNotInterested(this.link.out);
    this.link.touch();
  }

  choke(isChoked: boolean): void {
    if (isChoked) writeChoke(this.link.out);
    else writeUnchoke(this.link.out);
    this.link.touch();
  }

  have(piece: PieceIndex): void {
    writeHave(this.link.out, piece);
    this.link.touch();
  }

  ask(piece: PieceIndex, begin: number, lengthBytes: number): void {
    writeRequest(this.link.out, piece, begin, lengthBytes);
    this.link.touch();
  }

  cancel(piece: PieceIndex, begin: number, lengthBytes: number): void {
    writeCancel(this.link.out, piece, begin, lengthBytes);
    this.link.touch();
  }

  reject(piece: number, begin: number, lengthBytes: number): void {
    writeReject(this.link.out, piece, begin, lengthBytes);
    this.link.touch();
  }

  sendBlock(piece: PieceIndex, begin: number, lengthBytes: number, slices: readonly Buffer[]): void {
    this.link.sendBlock(piece, begin, lengthBytes, slices);
  }

  dontHave(piece: PieceIndex): void {
    this.extensions.tellDontHave(piece);
  }

  sendPex(payload: Uint8Array): boolean {
    return !this.isClosing && this.extensions.sendPex(payload);
  }

  badPiece(piece: PieceIndex, nowMs: number): void {
    this.extensions.tellBadPiece(piece, nowMs);
  }

  /** Whether we want anything has changed (BEP 21): another handshake (BEP 10), to who knows something else. */
  greetAgain(greeting: ExtendedGreeting): void {
    if (!this.supportsExtended || this.isClosing || this.#greetings >= GREETINGS_MAX) return;
    if (greeting.uploadOnly === this.#greeting.uploadOnly) return;
    this.#greeting = greeting;
    this.#greetings++;
    writeExtended(this.link.out, EXTENDED_HANDSHAKE_ID, greeting.to(this.host));
    this.link.touch();
  }

  // ---- how it takes that ----

  silentMs(nowMs: number): number {
    return this.link.silentMs(nowMs);
  }

  takeHeldMs(nowMs: number): number {
    return this.link.takeHeldMs(nowMs);
  }

  tick(nowMs: number): void {
    const { link } = this;
    if (link.silentMs(nowMs) > LIMITS.idleTimeoutMs) link.close('silent for more than two minutes');
    else if (link.unsentForMs(nowMs) > LIMITS.stuckSendTimeoutMs) link.close('reads nothing of what it asked for');
    else if (nowMs - link.lastWriteMs > LIMITS.keepAliveMs) link.sendKeepAlive();
  }

  flush(): void {
    this.link.flush();
  }

  close(reason: string): void {
    this.link.close(reason);
  }

  onExtended(id: number, payload: Uint8Array): void {
    this.extensions.onMessage(id, payload);
  }

  onPort(port: number): void {
    this.#dht?.heardOf(this.host, port);
  }

  // ---- LinkHandlers ----

  onConnected(): void {}

  onHandshake(): null {
    return null;
  }

  onReadEnd(): void {
    this.#peer!.onReadEnd();
  }

  onSent(_link: PeerLink, blocks: readonly number[]): void {
    this.#peer!.onSent(blocks);
  }

  onClosed(link: PeerLink, reason: string): void {
    this.#peer!.gone(reason, link.hasLostMemory);
  }
}
