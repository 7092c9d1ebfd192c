/**
 * What a snubbed peer is tried with: one request at a time, and not one that others would wait for. Best is a block
 * that it owes, which it may have sent already.
 */
import type { Peers } from '../peers/peers.js';
import type { OpenPieces } from '../pieces/open-pieces.js';
import type { Ledger } from './ledger.js';
import type { Requests } from './requests.js';

export interface ProbingParts {
  readonly peers: Peers;
  readonly open: OpenPieces;
  readonly ledger: Ledger;
  readonly requests: Requests;
  readonly random: () => number;
}

export class Probing {
  readonly #p: ProbingParts;

  constructor(parts: ProbingParts) {
    this.#p = parts;
  }

  /** It has its request. */
  isUnderWay(slot: number): boolean {
    return this.#p.ledger.probe[slot] !== -1;
  }

  /** Returns how many requests were made; -1: nothing is open that it could be tried with. */
  try(slot: number, nowMs: number): number {
    const { peers, open, requests, random } = this.#p;
    const late = requests.oldestLate(slot);
    if (late >= 0) {
      const record = open.recordAt(late);
      return requests.probe(slot, record, late - open.indexOf(record, 0), nowMs) ? 1 : 0;
    }
    for (let record = open.firstServable(); record >= 0; record = open.nextServable(record)) {
      if (!peers.has(slot, open.pieceOf[record]!)) continue;
      return requests.probe(slot, record, open.anyMissing(record, random), nowMs) ? 1 : 0;
    }
    return -1;
  }
}
