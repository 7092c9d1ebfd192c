/**
 * The extension messages (BEP 10) of one connected peer: which it takes under which number, and what we do with those
 * that we take.
 *
 *   lt_donthave     4 bytes, a piece (BEP 54): the sender has it no more
 *   ut_metadata     pieces of the info dictionary (BEP 9): we are asked, and never ask, for a session has all of it
 *   upload_only     1 byte, whether the sender wants nothing any more (BEP 21), which libtorrent says by it after its
 *                   handshake; we say it by another handshake
 *   ut_pex          peers of a peer (BEP 11, `pex.ts`); not of a private torrent
 *   haul_bad_piece  4 bytes, a piece: all of it came from the receiver of this message and it failed its hash. The
 *                   receiver hashes its copy of that one piece (`swarm/spot-checks.ts`, rate limited), and if it is
 *                   bad, no longer offers it. Asks for nothing else, is not answered
 *
 * In the handshake, beside what BEP 10 names: `haul_request_bytes`, the longest request for blocks in a row (a run)
 * that the sender serves.
 */
import { BLOCK_LENGTH_BYTES, LIMITS } from '../config.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { PeerLink } from '../peer/link.js';
import { writeExtended } from '../wire/encoder.js';
import { EXTENDED_HANDSHAKE_ID, ExtendedHandshakes, pieceMessage, pieceOfMessage } from '../wire/extensions.js';
import { encodeMetadataHead, encodeMetadataReject, parseMetadataMessage } from '../wire/metadata.js';
import { MetadataAnswers, type MetadataAsker, type MetadataShelf } from './metadata-answers.js';

/** The numbers under which we take messages. */
export const EXTENSIONS = { haul_bad_piece: 1, lt_donthave: 2, ut_metadata: 3, ut_pex: 4, upload_only: 5 } as const;
type ExtensionName = keyof typeof EXTENSIONS;

/** One peer hears of one bad piece at most this often; the receiver checks it no more often either. */
export const TELL_AGAIN_MS = 60_000;
/** Bad pieces remembered per peer; one that is bad all over need not hear of each. */
const TOLD_MAX = 64;

/** The peer that says so. */
export interface ExtendedPeer {
  readonly link: PeerLink;
  saysWeAreAt(host: string): void;
  client: string;
  listenPort: number | null;
  /** Null: nobody listens to it. */
  readonly peer: {
    setReqq(requests: number): void;
    setRunBlocks(blocks: number): void;
    setUploadOnly(isUploadOnly: boolean): void;
    doubts(piece: number): void;
    lacks(piece: number): void;
  } | null;
}

/** Peer exchange as one peer has it. */
export interface PexDoor {
  joined(): void;
  heard(payload: Uint8Array): void;
}

/** Of all peers: those of one client say the same. */
const handshakes = new ExtendedHandshakes();

export class PeerExtensions {
  readonly #remote: ExtendedPeer;
  readonly #numbers = new Map<string, number>();
  readonly #told = new Map<PieceIndex, number>();
  #handshakes = 0;
  readonly #metadata: MetadataShelf;
  readonly #pex: PexDoor | null;
  /** Made for the first request. */
  #answers: MetadataAnswers | null = null;

  /** @param metadata the info dictionary @param pex null: peers are not exchanged */
  constructor(remote: ExtendedPeer, metadata: MetadataShelf, pex: PexDoor | null = null) {
    this.#remote = remote;
    this.#pex = pex;
    this.#metadata = metadata;
  }

  /** @param payload hostile */
  onMessage(id: number, payload: Uint8Array): void {
    if (payload.length > LIMITS.extendedHandshakeBytes) return;
    if (id === EXTENDED_HANDSHAKE_ID) this.#onHandshake(payload);
    else if (id === EXTENSIONS.ut_metadata) this.#onMetadata(payload);
    else if (id === EXTENSIONS.ut_pex) this.#pex?.heard(payload);
    else if (id === EXTENSIONS.upload_only) this.#onUploadOnly(payload);
    else {
      const piece = pieceOfMessage(payload);
      if (piece === null) return;
      if (id === EXTENSIONS.haul_bad_piece) this.#remote.peer?.doubts(piece);
      else if (id === EXTENSIONS.lt_donthave) this.#remote.peer?.lacks(piece);
    }
  }

  tellBadPiece(piece: PieceIndex, nowMs: number): void {
    const lastMs = this.#told.get(piece) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - lastMs < TELL_AGAIN_MS || (this.#told.size >= TOLD_MAX && !this.#told.has(piece))) return;
    this.#told.set(piece, nowMs);
    this.#send('haul_bad_piece', piece);
  }

  tellDontHave(piece: PieceIndex): void {
    this.#send('lt_donthave', piece);
  }

  /** False: it does not take them. */
  sendPex(payload: Uint8Array): boolean {
    const number = this.#pex === null ? undefined : this.#numbers.get('ut_pex');
    if (number === undefined) return false;
    writeExtended(this.#remote.link.out, number, payload);
    this.#remote.link.touch();
    return true;
  }

  #onUploadOnly(payload: Uint8Array): void {
    if (payload.length === 1) this.#remote.peer?.setUploadOnly(payload[0] !== 0);
  }

  #onMetadata(payload: Uint8Array): void {
    const { link } = this.#remote;
    if (!this.#numbers.has('ut_metadata')) return;
    const message = parseMetadataMessage(payload);
    if (message === null || 'code' in message || message.type !== 'request') return;
    this.#answers ??= new MetadataAnswers(this.#metadata, this.#asker(link), link.lastReadMs);
    this.#answers.asked(message.piece, link.lastReadMs);
    if (this.#answers.isFlood) link.close('asks for metadata without end');
  }

  /** It may change the number of the extension while it waits. */
  #asker(link: PeerLink): MetadataAsker {
    const { length } = this.#metadata.metadata;
    const send = (head: Buffer, bytes: Buffer | null): void => {
      const number = this.#numbers.get('ut_metadata');
      if (number === undefined) return;
      writeExtended(link.out, number, head, bytes?.length);
      if (bytes === null) link.touch();
      else link.sendBytes(bytes);
    };
    return {
      host: link.host,
      get isClosing() {
        return link.isClosing;
      },
      give: (piece, bytes) => send(encodeMetadataHead(piece, length), bytes),
      reject: (piece) => send(encodeMetadataReject(piece), null),
    };
  }

  #send(name: ExtensionName, piece: PieceIndex): void {
    const number = this.#numbers.get(name);
    if (number === undefined) return;
    writeExtended(this.#remote.link.out, number, pieceMessage(piece));
    this.#remote.link.touch();
  }

  #onHandshake(payload: Uint8Array): void {
    const remote = this.#remote;
    if (++this.#handshakes > LIMITS.extendedHandshakesPerPeer) {
      remote.link.close('sent too many extension handshakes');
      return;
    }
    const said = handshakes.read(payload);
    if ('code' in said) {
      remote.link.close(said.reason);
      return;
    }
    for (const name of Object.keys(EXTENSIONS)) {
      const number = said.m.get(name);
      if (number !== undefined) this.#numbers.set(name, number);
      else if (said.disabled.has(name)) this.#numbers.delete(name);
    }
    if (said.version !== null) remote.client = said.version;
    // Where we dialled it is a fact, what it says is a claim.
    if (said.port !== null && remote.link.isIncoming) remote.listenPort = said.port;
    if (said.yourIp !== null) remote.saysWeAreAt(said.yourIp);
    if (this.#numbers.has('ut_pex')) this.#pex?.joined();
    if (said.uploadOnly !== null) remote.peer?.setUploadOnly(said.uploadOnly);
    if (said.requestBytes !== null) this.#onRequestBytes(said.requestBytes);
    if (said.reqq !== null) remote.peer?.setReqq(said.reqq);
  }

  /**
   * What it serves in one message, as far as we ask for it: a power of two of blocks. Who says so knows what it means
   * when we do.
   */
  #onRequestBytes(bytes: number): void {
    const blocks = Math.floor(Math.min(bytes, LIMITS.runBytes) / BLOCK_LENGTH_BYTES);
    if (blocks < 1) return;
    this.#remote.peer?.setRunBlocks(2 ** Math.floor(Math.log2(blocks)));
  }
}
