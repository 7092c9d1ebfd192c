/**
 * The info dictionary, put together from what many peers say it is (BEP 9). Pure: peers are keys, time is an argument.
 *
 * Nothing proves a piece; only the whole has a hash. So peers that agree on the length share one copy, and when that
 * proves wrong nobody knows who lied, unless one gave all of it. Then each of them gives a copy alone: a liar is found
 * by its first, and one that is honest is enough.
 *
 *   shared, by length   | A | B | A | C |  wrong: A, B, C stand in line
 *   alone               | A | A | A | A |  | B | B | B |     right: done. Wrong: A lies
 *
 * Invariant: every piece that is asked for is answered, asked of others too, or given up in time; what is held is
 * bounded by `LIMITS.metadataCopies` of each kind, and grows with what came, not with what was announced.
 */
import { LIMITS } from '../config.js';
import { METADATA_PIECE_BYTES, metadataPieceCount } from '../wire/metadata.js';

/** What came of something that a peer said: more is to come, all is here, or it is of no use any more. */
export type Verdict =
  /** @param isAnswer it is what the peer was asked for: what nobody asked for says nothing in its favour */
  | { readonly kind: 'more'; readonly isAnswer: boolean }
  | { readonly kind: 'whole'; readonly metadata: Buffer }
  /** @param isLie it gave bad metadata, which is known by its hash */
  | { readonly kind: 'drop'; readonly reason: string; readonly isLie: boolean };

/** Lengths that liars made up; more would only be memory held for them. */
const TURNS_KEPT = 64;

const MORE: Verdict = { kind: 'more', isAnswer: false };
const ANSWER: Verdict = { kind: 'more', isAnswer: true };
const drop = (reason: string, isLie = false): Verdict => ({ kind: 'drop', reason, isLie });

/** One that is put together. */
class Copy<P> {
  readonly lengthBytes: number;
  readonly parts: (Buffer | null)[];
  readonly givers = new Set<P>();
  /** By piece: when it was asked for last. */
  readonly askedMs: number[];
  receivedBytes = 0;
  /** When it must make place for another, should one wait. */
  readonly untilMs: number;

  constructor(lengthBytes: number, untilMs: number) {
    this.untilMs = untilMs;
    const count = metadataPieceCount(lengthBytes);
    this.lengthBytes = lengthBytes;
    this.parts = new Array<Buffer | null>(count).fill(null);
    this.askedMs = new Array<number>(count).fill(Number.NEGATIVE_INFINITY);
  }

  partBytes(piece: number): number {
    return Math.min(METADATA_PIECE_BYTES, this.lengthBytes - piece * METADATA_PIECE_BYTES);
  }
}

interface Member<P> {
  readonly peer: P;
  lengthBytes: number | null;
  /** Pieces asked of it and not answered, and when. */
  readonly asked: Map<number, number>;
  /** It is asked nothing before that. */
  restsUntilMs: number;
  rejects: number;
  unasked: number;
  /** It gave a part of a copy that was wrong: others are not mixed with it. */
  isSuspect: boolean;
  own: Copy<P> | null;
  /** How long it may take for a copy when others wait. */
  turnMs: number;
}

export class Assembly<P> {
  readonly #isRight: (metadata: Buffer) => boolean;
  readonly #members = new Map<P, Member<P>>();
  readonly #shared = new Map<number, Copy<P>>();
  /** How long a shared copy of a length may take next time when others wait. */
  readonly #turns = new Map<number, number>();
  /** Lengths without a shared copy, first come, first served. */
  readonly #lengths = new Set<number>();
  /** Suspects without a copy, first come, first served. */
  #line: Member<P>[] = [];
  #alone = 0;

  /** @param isRight whether these bytes have the hash that is wanted */
  constructor(isRight: (metadata: Buffer) => boolean) {
    this.#isRight = isRight;
  }

  add(peer: P): void {
    this.#members.set(peer, {
      peer,
      lengthBytes: null,
      asked: new Map(),
      restsUntilMs: Number.NEGATIVE_INFINITY,
      rejects: 0,
      unasked: 0,
      isSuspect: false,
      own: null,
      turnMs: LIMITS.metadataTurnMs,
    });
  }

  remove(peer: P): void {
    const member = this.#members.get(peer);
    if (member === undefined) return;
    this.#members.delete(peer);
    this.#giveUp(member);
    this.#line = this.#line.filter((other) => other !== member);
    const { lengthBytes } = member;
    const isLast = ![...this.#members.values()].some((other) => !other.isSuspect && other.lengthBytes === lengthBytes);
    if (lengthBytes === null || !isLast) return;
    this.#shared.delete(lengthBytes);
    this.#lengths.delete(lengthBytes);
  }

  /** The peer said how long it is, perhaps again; null: it does not know. Any number. */
  sized(peer: P, lengthBytes: number | null): Verdict {
    const member = this.#members.get(peer)!;
    if (lengthBytes === null || lengthBytes === member.lengthBytes) return MORE;
    if (member.lengthBytes !== null) return drop('changed the length of its metadata');
    if (!(lengthBytes > 0) || lengthBytes > LIMITS.metadataBytes) {
      return drop(`has metadata of ${lengthBytes} bytes, the limit is ${LIMITS.metadataBytes}`);
    }
    member.lengthBytes = lengthBytes;
    return MORE;
  }

  /** It said that it has something to give. */
  offers(peer: P): boolean {
    return this.#members.get(peer)?.lengthBytes != null;
  }

  /** It has something to give, and no place to give it to yet: it is for us to ask. */
  isWaiting(peer: P): boolean {
    const member = this.#members.get(peer)!;
    return member.lengthBytes !== null && this.#held(member) === null;
  }

  /** The piece to ask this peer for now, which counts as asked; -1: none. */
  next(peer: P, nowMs: number): number {
    const member = this.#members.get(peer)!;
    if (nowMs < member.restsUntilMs || member.asked.size >= LIMITS.metadataRequestsPerPeer) return -1;
    const copy = this.#copyOf(member, nowMs);
    if (copy === null) return -1;
    const piece = pieceFor(copy, member, nowMs);
    if (piece === -1) return -1;
    copy.askedMs[piece] = nowMs;
    member.asked.set(piece, nowMs);
    return piece;
  }

  /** @param bytes hostile; kept as a copy @param totalBytes what it says of the whole, or null */
  data(peer: P, piece: number, totalBytes: number | null, bytes: Uint8Array): Verdict {
    const member = this.#members.get(peer)!;
    if (!member.asked.delete(piece)) {
      return ++member.unasked > LIMITS.metadataUnasked ? drop('sends metadata that nobody asked for') : MORE;
    }
    const copy = this.#held(member);
    // What was asked for another copy, which is no more.
    if (copy === null) return ANSWER;
    if (totalBytes !== null && totalBytes !== copy.lengthBytes) return drop('changed the length of its metadata');
    if (bytes.length !== copy.partBytes(piece)) {
      return drop(`sent ${bytes.length} bytes of metadata instead of ${copy.partBytes(piece)}`);
    }
    member.rejects = 0;
    if (copy.parts[piece] !== null) return ANSWER;
    copy.parts[piece] = Buffer.from(bytes);
    copy.givers.add(peer);
    copy.receivedBytes += bytes.length;
    return copy.receivedBytes < copy.lengthBytes ? ANSWER : this.#judge(member, copy);
  }

  /** It does not give this piece: it has none yet, or was asked too often. */
  rejected(peer: P, piece: number, nowMs: number): Verdict {
    const member = this.#members.get(peer)!;
    if (!member.asked.delete(piece)) return MORE;
    this.#free(member, piece);
    if (++member.rejects > LIMITS.metadataRejects) return drop('rejects all that it is asked');
    member.restsUntilMs = nowMs + LIMITS.metadataRestMs * member.rejects;
    return MORE;
  }

  /** Once a second. @returns peers that do not answer, or take too long while others wait: to be dropped */
  tick(nowMs: number): P[] {
    const silent: P[] = [];
    for (const member of this.#members.values()) {
      const oldestMs = Math.min(...member.asked.values());
      if (nowMs - oldestMs >= LIMITS.metadataAnswerMs) silent.push(member.peer);
      else if (member.own !== null && nowMs >= member.own.untilMs && this.#line.length > 0) {
        // Slow or hostile, nobody can tell: it comes again, with more time.
        this.#giveUp(member);
        member.turnMs *= 2;
        this.#line.push(member);
      }
    }
    return silent;
  }

  /** Of the copy that is nearest to its end: bytes here, bytes in all. Both 0: nobody has said how much there is. */
  progress(): { readonly receivedBytes: number; readonly lengthBytes: number } {
    let best: { receivedBytes: number; lengthBytes: number } | null = null;
    const copies = [...this.#shared.values(), ...[...this.#members.values()].map(({ own }) => own)];
    for (const copy of copies) {
      if (copy !== null && (best === null || copy.receivedBytes > best.receivedBytes)) best = copy;
    }
    return { receivedBytes: best?.receivedBytes ?? 0, lengthBytes: best?.lengthBytes ?? 0 };
  }

  #held(member: Member<P>): Copy<P> | null {
    return member.isSuspect ? member.own : (this.#shared.get(member.lengthBytes ?? 0) ?? null);
  }

  /** Made where there is none. Null: it has to wait for a place. */
  #copyOf(member: Member<P>, nowMs: number): Copy<P> | null {
    const { lengthBytes } = member;
    const held = this.#held(member);
    if (held !== null || lengthBytes === null) return held;
    if (member.isSuspect) return this.#ownCopy(member, lengthBytes, nowMs);
    this.#lengths.add(lengthBytes);
    const [first] = this.#lengths;
    if (first !== lengthBytes) return null;
    if (this.#shared.size >= LIMITS.metadataCopies && !this.#makePlace(nowMs)) return null;
    this.#lengths.delete(lengthBytes);
    const turnMs = this.#turns.get(lengthBytes) ?? LIMITS.metadataTurnMs;
    const copy = new Copy<P>(lengthBytes, nowMs + turnMs);
    this.#shared.set(lengthBytes, copy);
    return copy;
  }

  /** A shared copy had its turn: those who drip, each of another length, keep nobody from the one that is right. */
  #makePlace(nowMs: number): boolean {
    for (const [lengthBytes, { untilMs }] of this.#shared) {
      if (nowMs < untilMs) continue;
      this.#shared.delete(lengthBytes);
      const turnMs = this.#turns.get(lengthBytes) ?? LIMITS.metadataTurnMs;
      this.#turns.delete(lengthBytes);
      this.#turns.set(lengthBytes, 2 * turnMs);
      const [oldest] = this.#turns.keys();
      if (this.#turns.size > TURNS_KEPT) this.#turns.delete(oldest!);
      return true;
    }
    return false;
  }

  #ownCopy(member: Member<P>, lengthBytes: number, nowMs: number): Copy<P> | null {
    if (this.#alone >= LIMITS.metadataCopies || this.#line[0] !== member) return null;
    this.#line.shift();
    this.#alone++;
    member.asked.clear();
    member.own = new Copy(lengthBytes, nowMs + member.turnMs);
    return member.own;
  }

  #judge(member: Member<P>, copy: Copy<P>): Verdict {
    const metadata = Buffer.concat(copy.parts as Buffer[]);
    if (this.#isRight(metadata)) return { kind: 'whole', metadata };
    if (copy !== member.own) this.#shared.delete(copy.lengthBytes);
    if (copy.givers.size === 1) return drop('gave metadata that is not that of the torrent', true);
    for (const peer of copy.givers) {
      const giver = this.#members.get(peer);
      if (giver === undefined) continue;
      giver.isSuspect = true;
      giver.asked.clear();
      this.#line.push(giver);
    }
    return ANSWER;
  }

  /** Somebody else may be asked for what it was asked. */
  #free(member: Member<P>, piece: number): void {
    const copy = this.#held(member);
    if (copy !== null) copy.askedMs[piece] = Number.NEGATIVE_INFINITY;
  }

  #giveUp(member: Member<P>): void {
    for (const piece of member.asked.keys()) this.#free(member, piece);
    member.asked.clear();
    if (member.own !== null) this.#alone--;
    member.own = null;
  }
}

/** The first that nobody was asked for; then those that others are slow to give. */
function pieceFor<P>(copy: Copy<P>, member: Member<P>, nowMs: number): number {
  for (let piece = 0; piece < copy.parts.length; piece++) {
    const isMissing = copy.parts[piece] === null && !member.asked.has(piece);
    if (isMissing && nowMs - copy.askedMs[piece]! >= LIMITS.metadataAgainMs) return piece;
  }
  return -1;
}
