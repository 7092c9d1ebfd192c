/**
 * The other side of one connection, as an exchange needs it: what can be said to it, and how it takes that. A peer of
 * the wire is one (`torrent/wire-remote.ts`), a web seed (`webseed/web-remote.ts`), a simulated host. Nothing here
 * calls back at once: what the other side answers comes to its `Peer` later.
 */
import type { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';

export interface Remote {
  /** Its address without the port. What comes from one host is counted together where it is about shares. */
  readonly host: string;
  /** A web server (BEP 19): it only gives, and is counted apart from peers. */
  readonly isWebSeed: boolean;
  /** A number that everybody knows of it, from its peer id, where it has one. */
  readonly idEnd?: number | null;
  /** It speaks BEP 6: a request that is refused is said to be. */
  readonly supportsFast: boolean;
  /** It came to us and hears an unchoke that follows our first words at once. */
  readonly asksAtOnce: boolean;
  readonly isClosing: boolean;
  /** When it was last heard of, ms of the clock of the exchange. */
  readonly lastReadMs: number;
  /** We do not read what it sends now: a rate limit is reached, or too much of ours is unsent. */
  readonly isResting: boolean;
  /** Bytes said and not yet taken by the kernel; and all that it has taken, ever. */
  readonly queuedBytes: number;
  readonly takenBytes: number;

  /** First of all: what we can do, and what we have. @param have null: we have nothing, or say so */
  greet(have: Bitfield | null): void;
  interested(isInterested: boolean): void;
  choke(isChoked: boolean): void;
  have(piece: PieceIndex): void;
  /** One block, or several in a row where it serves such runs. */
  ask(piece: PieceIndex, begin: number, lengthBytes: number): void;
  cancel(piece: PieceIndex, begin: number, lengthBytes: number): void;
  reject(piece: number, begin: number, lengthBytes: number): void;
  /** The memory of `slices` stays as it is until the block is told to be sent (`Peer.onSent`). */
  sendBlock(piece: PieceIndex, begin: number, lengthBytes: number, slices: readonly Buffer[]): void;
  /** We have the piece no more (BEP 54), where it understands that. */
  dontHave(piece: PieceIndex): void;
  /** All of this piece came from it and is bad, where it understands that. */
  badPiece(piece: PieceIndex, nowMs: number): void;

  /** A message of BEP 10 came from it. @param payload hostile */
  onExtended(id: number, payload: Uint8Array): void;
  /** The UDP port of its DHT node (BEP 5). @param port 0 to 65535 */
  onPort(port: number): void;
  /** How long it could have been heard of and was not. */
  silentMs(nowMs: number): number;
  /** How long a rate limit kept us from reading since last asked. */
  takeHeldMs(nowMs: number): number;
  /** Once a second: its own time-outs and keep-alives. */
  tick(nowMs: number): void;
  /** What was said leaves before anything else happens. */
  flush(): void;
  /** `Peer.gone` follows, not at once. @param reason one phrase for logs and statistics */
  close(reason: string): void;
}
