/**
 * A peer of which the info dictionary is fetched (BEP 9, 10): says what it wants, asks, and hears answers. It gives
 * nothing and takes no block; whatever else the peer says is no concern of it.
 */
import { LIMITS } from '../../config.js';
import type { LinkHandlers, PeerLink } from '../../peer/link.js';
import { writeExtended, writeHaveNone, writeReject } from '../../wire/encoder.js';
import { EXTENDED_HANDSHAKE_ID, type ExtendedGreeting, parseExtendedHandshake } from '../../wire/extensions.js';
import { clientName, type Handshake } from '../../wire/handshake.js';
import {
  encodeMetadataReject,
  encodeMetadataRequest,
  type MetadataMessage,
  parseMetadataMessage,
  UT_METADATA,
} from '../../wire/metadata.js';
import { isRakshasa } from '../../wire/peer-id.js';
import type { WireSink } from '../../wire/sink.js';
import type { DhtOfPeers } from '../environment.js';
import { EXTENSIONS } from '../peer-extensions.js';
import { tellNode } from '../wire-remote.js';

export interface MetadataPeerOwner {
  /** It said how long its metadata is; null: not. Comes again with each handshake. */
  onSize(peer: MetadataPeer, lengthBytes: number | null): void;
  onData(peer: MetadataPeer, message: MetadataMessage & { readonly type: 'data' }): void;
  onReject(peer: MetadataPeer, piece: number): void;
  onGone(peer: MetadataPeer, reason: string): void;
}

export class MetadataPeer implements WireSink, LinkHandlers {
  readonly link: PeerLink;
  readonly joinedMs: number;
  readonly peerId: Buffer;
  client: string;
  /** Where it can be dialled; null: not known. */
  listenPort: number | null;
  /** When it gave something last, or joined. */
  usefulMs: number;
  readonly #owner: MetadataPeerOwner;
  readonly #supportsFast: boolean;
  readonly #hasNode: boolean;
  readonly #dht: DhtOfPeers | null;
  /** Under which it takes our requests; null: not at all. */
  #number: number | null = null;
  /** rTorrent reads nothing more for ever when a second request comes before it has answered the first. */
  readonly #isAskedOneByOne: boolean;
  #isAsked = false;
  #handshakes = 0;

  /** @param dht null: nothing is said of it */
  constructor(link: PeerLink, handshake: Handshake, owner: MetadataPeerOwner, nowMs: number, dht: DhtOfPeers | null) {
    this.link = link;
    this.#owner = owner;
    this.joinedMs = nowMs;
    this.peerId = handshake.peerId;
    this.usefulMs = nowMs;
    this.client = clientName(handshake.peerId);
    this.listenPort = link.isIncoming ? null : link.port;
    this.#supportsFast = handshake.supportsFast;
    this.#hasNode = handshake.supportsDht;
    this.#isAskedOneByOne = isRakshasa(handshake.peerId);
    this.#dht = dht;
    link.handlers = this;
  }

  greet(greeting: ExtendedGreeting): void {
    const { out, host } = this.link;
    writeExtended(out, EXTENDED_HANDSHAKE_ID, greeting.to(host));
    if (this.#supportsFast) writeHaveNone(out);
    if (this.#hasNode) tellNode(out, this.#dht, host);
    this.link.touch();
  }

  get takesRequests(): boolean {
    return this.#number !== null && !this.link.isClosing && !(this.#isAskedOneByOne && this.#isAsked);
  }

  ask(piece: number): void {
    this.#isAsked = true;
    writeExtended(this.link.out, this.#number!, encodeMetadataRequest(piece));
    this.link.touch();
  }

  onExtended(id: number, payload: Uint8Array): void {
    if (id === EXTENDED_HANDSHAKE_ID) this.#onHandshake(payload);
    else if (id === EXTENSIONS.ut_metadata) this.#onMetadata(payload);
  }

  #onHandshake(payload: Uint8Array): void {
    if (++this.#handshakes > LIMITS.extendedHandshakesPerPeer) {
      this.link.close('sent too many extension handshakes');
      return;
    }
    const said = parseExtendedHandshake(payload);
    if ('code' in said) {
      this.link.close(said.reason);
      return;
    }
    if (said.version !== null) this.client = said.version;
    if (said.port !== null && this.link.isIncoming) this.listenPort = said.port;
    const number = said.m.get(UT_METADATA);
    if (number !== undefined) this.#number = number;
    else if (said.disabled.has(UT_METADATA)) this.#number = null;
    this.#owner.onSize(this, said.metadataSize);
  }

  #onMetadata(payload: Uint8Array): void {
    const message = parseMetadataMessage(payload);
    if (message === null) return;
    if ('code' in message || message.type !== 'request') this.#isAsked = false;
    if ('code' in message) this.link.close(message.reason);
    else if (message.type === 'data') this.#owner.onData(this, message);
    else if (message.type === 'reject') this.#owner.onReject(this, message.piece);
    // We have none. Who does not read the answers does not get more of them: the link stops reading.
    else if (this.#number !== null) {
      writeExtended(this.link.out, this.#number, encodeMetadataReject(message.piece));
      this.link.touch();
    }
  }

  onPort(port: number): void {
    this.#dht?.heardOf(this.link.host, port);
  }

  /** It may be choked and ask all the same. */
  onRequest(piece: number, begin: number, length: number): void {
    if (!this.#supportsFast) return;
    writeReject(this.link.out, piece, begin, length);
    this.link.touch();
  }

  onBlockBegin(): void {
    this.link.close('sends data that nobody asked for');
  }

  onClosed(_link: PeerLink, reason: string): void {
    this.#owner.onGone(this, reason);
  }

  // ---- what says nothing of the info dictionary ----

  onConnected(): void {}
  onHandshake(): null {
    return null;
  }
  onReadEnd(): void {}
  onSent(): void {}
  onKeepAlive(): void {}
  onChoke(): void {}
  onUnchoke(): void {}
  onInterested(): void {}
  onNotInterested(): void {}
  onHave(): void {}
  onBitfield(): void {}
  onCancel(): void {}
  onBlockBytes(): void {}
  onBlockEnd(): void {}
  onSuggest(): void {}
  onHaveAll(): void {}
  onHaveNone(): void {}
  onReject(): void {}
  onAllowedFast(): void {}
}
