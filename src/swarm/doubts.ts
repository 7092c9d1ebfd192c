/**
 * Bad data of this torrent as its user hears of it: sources that give nothing but bad copies of a piece, and pieces of
 * ours that are bad on disk. A piece of ours that somebody complains of is hashed again; a bad one is no longer
 * offered, and a download never ends well over it.
 */

import { HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import { groupOf } from '../net/remote-group.js';
import type { LiveTorrent } from '../torrent/torrent.js';
import type { Peer } from './peer.js';
import { SpotChecks } from './spot-checks.js';

/** A source that is bad all over is told of this often, not for each piece. */
const SAY_AGAIN_MS = 10_000;

export class Doubts {
  readonly #torrent: LiveTorrent;
  /** Both are made with the first complaint. */
  #checks: SpotChecks | null = null;
  #abort: AbortController | null = null;
  #isClosed = false;
  /** Pieces that were verified and are bad on disk now. */
  badPieces = 0;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(torrent: LiveTorrent) {
    this.#torrent = torrent;
  }

  get isIdle(): boolean {
    return this.#checks?.isIdle ?? true;
  }

  /** Once a second. */
  tick(nowMs: number): void {
    void this.#checks?.tick(nowMs);
  }

  /** Somebody at that address says that our copy of the piece is bad. */
  pieceDoubted(piece: PieceIndex, host: string): void {
    this.#checks ??= new SpotChecks({
      check: (doubted) => this.#isGood(doubted),
      onBad: (bad) => this.#pieceLost(bad),
    });
    this.#checks.report(piece, groupOf(host));
  }

  /** No check begins any more, and one under way comes to no verdict. */
  close(): void {
    this.#isClosed = true;
    this.#abort?.abort();
  }

  poisonedSource(peer: Peer, piece: PieceIndex, copies: number, pauseMs: number): void {
    const { metainfo, services, exchange } = this.#torrent;
    const { address } = peer.link;
    const nowMs = services.now();
    if (nowMs - this.#saidMs < SAY_AGAIN_MS) return;
    this.#saidMs = nowMs;
    const hasOther = exchange?.storage.hasOtherWriter(piece) === true;
    const fault = hasOther ? 'its copy is bad, or another program spoils it here' : 'its copy is bad';
    const message =
      `${metainfo.name}: ${address} is the only source of piece ${piece} and ${fault} (${copies} times now); ` +
      `asking again in ${Math.round(pauseMs / 1000)} s, or when another source comes`;
    this.#torrent.tell('warning', new HaulError('BAD_DATA', message, { address, piece, copies, pauseMs }));
  }

  /** @throws HaulError when the disk does not say: a piece that cannot be read now is not lost */
  async #isGood(piece: PieceIndex): Promise<boolean> {
    const { metainfo, output, selection, services } = this.#torrent;
    const only = new Bitfield(metainfo.geometry.pieceCount);
    only.set(piece);
    this.#abort ??= new AbortController();
    if (this.#isClosed) this.#abort.abort();
    const { signal } = this.#abort;
    const options = { only, selection, signal, onProgress: () => {}, isStrict: true };
    const good = await services.recheck(metainfo, output, options);
    signal.throwIfAborted();
    return good.has(piece);
  }

  #pieceLost(piece: PieceIndex): void {
    const { metainfo, output } = this.#torrent;
    if (this.#torrent.isStopping) return;
    this.badPieces++;
    this.#torrent.withdraw(piece);
    const message =
      `${metainfo.name}: piece ${piece} on disk is bad, it is not served any more; ` +
      '`haul verify` names the files, `haul get` into the same folder repairs them';
    this.#torrent.tell('warning', new HaulError('BAD_DATA', message, { piece, output }));
  }
}
