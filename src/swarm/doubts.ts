/**
 * Bad data of this torrent as its user hears of it: sources that give nothing but bad copies of a piece, and pieces of
 * ours that are bad on disk. A piece of ours that somebody complains of is hashed again; a bad one is no longer
 * offered, and a download never ends well over it.
 */

import { HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { groupOf } from '../net/remote-group.js';
import type { Storage } from '../storage/port.js';
import { SpotChecks } from './spot-checks.js';

/** A source that is bad all over is told of this often, not for each piece. */
const SAY_AGAIN_MS = 10_000;

/** What it needs of its torrent. */
export interface DoubtsOwner {
  readonly metainfo: Metainfo;
  readonly output: string;
  readonly isStopping: boolean;
  readonly exchange: { readonly storage: Pick<Storage, 'hasOtherWriter'> } | null;
  readonly environment: { readonly now: () => number };
  readonly content: { recheck(options: RecheckOptions): Promise<Bitfield> };
  /** The piece is bad on disk: it is offered and recorded no more. */
  withdraw(piece: PieceIndex): void;
  tell(event: 'warning', error: HaulError): void;
}

interface RecheckOptions {
  readonly only: Bitfield;
  readonly signal: AbortSignal;
  readonly onProgress: () => void;
  readonly isStrict: true;
}

export class Doubts {
  readonly #owner: DoubtsOwner;
  /** Both are made with the first complaint. */
  #checks: SpotChecks | null = null;
  #abort: AbortController | null = null;
  #isClosed = false;
  /** Pieces that were verified and are bad on disk now. */
  badPieces = 0;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(owner: DoubtsOwner) {
    this.#owner = owner;
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

  /** @param address "host:port" of the only source of the piece */
  poisonedSource(address: string, piece: PieceIndex, copies: number, pauseMs: number): void {
    const { metainfo } = this.#owner;
    const nowMs = this.#owner.environment.now();
    if (nowMs - this.#saidMs < SAY_AGAIN_MS) return;
    this.#saidMs = nowMs;
    const hasOther = this.#owner.exchange?.storage.hasOtherWriter(piece) === true;
    const fault = hasOther ? 'its copy is bad, or another program spoils it here' : 'its copy is bad';
    const message =
      `${metainfo.name}: ${address} is the only source of piece ${piece} and ${fault} (${copies} times now); ` +
      `asking again in ${Math.round(pauseMs / 1000)} s, or when another source comes`;
    this.#owner.tell('warning', new HaulError('BAD_DATA', message, { address, piece, copies, pauseMs }));
  }

  /** @throws HaulError when the disk does not say: a piece that cannot be read now is not lost */
  async #isGood(piece: PieceIndex): Promise<boolean> {
    const { metainfo, content } = this.#owner;
    const only = new Bitfield(metainfo.geometry.pieceCount);
    only.set(piece);
    this.#abort ??= new AbortController();
    if (this.#isClosed) this.#abort.abort();
    const { signal } = this.#abort;
    const options = { only, signal, onProgress: () => {}, isStrict: true } as const;
    const good = await content.recheck(options);
    signal.throwIfAborted();
    return good.has(piece);
  }

  #pieceLost(piece: PieceIndex): void {
    const { metainfo, output } = this.#owner;
    if (this.#owner.isStopping) return;
    this.badPieces++;
    this.#owner.withdraw(piece);
    const message =
      `${metainfo.name}: piece ${piece} on disk is bad, it is not served any more; ` +
      '`haul verify` names the files, `haul get` into the same folder repairs them';
    this.#owner.tell('warning', new HaulError('BAD_DATA', message, { piece, output }));
  }
}
