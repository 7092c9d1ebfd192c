/** What the rules of `bad-pieces.ts` mean for connected peers. */
import type { PeerSlot, PieceIndex } from '../metainfo/geometry.js';
import { groupOf } from '../net/remote-group.js';
import type { Scheduler } from '../scheduler/scheduler.js';
import type { BadPieceOwner } from './bad-pieces.js';
import type { Inflow } from './inflow.js';
import type { Remote } from './remote.js';

export interface DistrustOwner<R extends Remote> {
  readonly scheduler: Scheduler;
  readonly isClosed: boolean;
  readonly now: () => number;
  /** Null: nobody is connected there. */
  inflowAt(slot: PeerSlot): Inflow<R> | null;
  /** The only source of a piece gave so many bad copies; it is asked again after the pause. */
  onPoisonedSource(remote: R, piece: PieceIndex, copies: number, pauseMs: number): void;
}

export class Distrust<R extends Remote> implements BadPieceOwner<Inflow<R>> {
  readonly #owner: DistrustOwner<R>;

  constructor(owner: DistrustOwner<R>) {
    this.#owner = owner;
  }

  hostOf(inflow: Inflow<R>): string {
    return groupOf(inflow.remote.host);
  }

  copies(piece: PieceIndex): number {
    return this.#owner.scheduler.view.copies(piece);
  }

  hasPiece(inflow: Inflow<R>, piece: PieceIndex): boolean {
    return this.#isHere(inflow) && this.#owner.scheduler.view.peerHas(inflow.slot, piece);
  }

  worth(inflow: Inflow<R>): number {
    const { scheduler, now } = this.#owner;
    return scheduler.view.isPeerChoking(inflow.slot) ? -1 : scheduler.view.downloadRate(inflow.slot, now());
  }

  withhold(inflow: Inflow<R>, piece: PieceIndex): void {
    this.#owner.scheduler.peerLacks(inflow.slot, piece);
  }

  restore(inflow: Inflow<R>, piece: PieceIndex): void {
    if (this.#isHere(inflow)) this.#owner.scheduler.peerHave(inflow.slot, piece);
  }

  tellSharer(inflow: Inflow<R>, piece: PieceIndex): void {
    inflow.remote.badPiece(piece, this.#owner.now());
  }

  onPoisonedSource(inflow: Inflow<R>, piece: PieceIndex, copies: number, pauseMs: number): void {
    this.#owner.onPoisonedSource(inflow.remote, piece, copies, pauseMs);
  }

  #isHere(inflow: Inflow<R>): boolean {
    return this.#owner.inflowAt(inflow.slot) === inflow && !this.#owner.isClosed;
  }
}
