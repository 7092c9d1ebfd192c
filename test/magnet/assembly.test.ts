import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../src/config.js';
import { Assembly } from '../../src/magnet/assembly.js';
import { METADATA_PIECE_BYTES } from '../../src/wire/metadata.js';

const TRUTH = Buffer.alloc(5 * METADATA_PIECE_BYTES + 77, 'the info dictionary of a torrent');
const pieceOf = (metadata: Buffer, piece: number): Buffer =>
  metadata.subarray(piece * METADATA_PIECE_BYTES, (piece + 1) * METADATA_PIECE_BYTES);

type Manner =
  | 'honest' //
  | 'liar' // every piece is bad
  | 'sly' // one piece is bad
  | 'silent'
  | 'rejects'
  | 'drips' // one bad piece in nine seconds
  | 'other-length' // of its own, and bad pieces
  | 'slow-other' // a long one of its own, and answers all at the last moment
  | 'changes' // names another length after a while
  | 'zero'
  | 'negative'
  | 'absurd'
  | 'none' // has no metadata itself
  | 'short'; // sends less than a piece

interface Actor {
  readonly name: string;
  readonly manner: Manner;
  readonly asked: number[];
  lastMs: number;
}

/** Peers, each of a manner, around one assembly in virtual time. */
class Scene {
  readonly assembly = new Assembly<Actor>((metadata) => metadata.equals(TRUTH));
  readonly actors = new Set<Actor>();
  readonly dropped = new Map<string, string>();
  readonly liars: string[] = [];
  nowMs = 0;
  whole: Buffer | null = null;
  requests = 0;

  join(manner: Manner, name = `${manner}-${this.actors.size}`): void {
    const actor = { name, manner, asked: [], lastMs: this.nowMs };
    this.actors.add(actor);
    this.assembly.add(actor);
    this.#heed(actor, this.assembly.sized(actor, this.#lengthOf(actor)));
  }

  #lengthOf({ manner }: Actor): number | null {
    const odd = { zero: 0, negative: -1, absurd: 2 ** 31, none: null };
    if (manner in odd) return odd[manner as keyof typeof odd];
    const oddPieces = { 'other-length': this.actors.size, 'slow-other': 100 + this.actors.size };
    if (!(manner in oddPieces)) return TRUTH.length;
    return TRUTH.length + 1 + oddPieces[manner as keyof typeof oddPieces] * METADATA_PIECE_BYTES;
  }

  #heed(actor: Actor, verdict: ReturnType<Assembly<Actor>['sized']>): void {
    if (verdict.kind === 'whole') this.whole = verdict.metadata;
    if (verdict.kind === 'drop') this.#drop(actor, verdict.reason);
    if (verdict.kind === 'drop' && verdict.isLie) this.liars.push(actor.name);
  }

  #drop(actor: Actor, reason: string): void {
    this.actors.delete(actor);
    this.assembly.remove(actor);
    this.dropped.set(actor.name, reason);
  }

  /** A quarter of a second: everybody is asked, and answers as is its manner. */
  step(): void {
    this.nowMs += 250;
    if (this.nowMs % 1000 === 0) for (const actor of this.assembly.tick(this.nowMs)) this.#drop(actor, 'silent');
    for (const actor of [...this.actors]) {
      for (let piece = this.#ask(actor); piece !== -1; piece = this.#ask(actor)) this.requests++;
      // Twice as many after a copy that proved bad: what was asked for it is still on its way.
      assert.ok(actor.asked.length <= 2 * LIMITS.metadataRequestsPerPeer);
      if (this.whole === null) this.#answer(actor);
    }
  }

  #ask(actor: Actor): number {
    const piece = this.assembly.next(actor, this.nowMs);
    if (piece !== -1) actor.asked.push(piece);
    return piece;
  }

  #answer(actor: Actor): void {
    const { manner, asked } = actor;
    const slowMs = manner === 'drips' || manner === 'slow-other' ? 9_000 : 0;
    if (manner === 'silent' || asked.length === 0 || this.nowMs - actor.lastMs < slowMs) return;
    actor.lastMs = this.nowMs;
    for (let count = manner === 'slow-other' ? asked.length : 1; count > 0; count--) this.#give(actor, asked.shift()!);
  }

  #give(actor: Actor, piece: number): void {
    const { manner } = actor;
    if (manner === 'rejects') this.#heed(actor, this.assembly.rejected(actor, piece, this.nowMs));
    else if (manner === 'changes' && piece > 1) this.#heed(actor, this.assembly.sized(actor, TRUTH.length - 1));
    else {
      const isBad = !['honest', 'changes', 'short'].includes(manner) && (manner !== 'sly' || piece === 0);
      const expected = pieceOf(manner.includes('other') ? Buffer.alloc(2 ** 24) : TRUTH, piece).length;
      const bytes = isBad ? Buffer.alloc(expected, 'x') : pieceOf(TRUTH, piece);
      const sent = manner === 'short' ? bytes.subarray(1) : bytes;
      this.#heed(actor, this.assembly.data(actor, piece, null, sent));
    }
  }

  /** Seconds until all of it is there. */
  run(mostSeconds: number): number {
    while (this.whole === null && this.nowMs < mostSeconds * 1000) this.step();
    assert.deepEqual(this.whole, TRUTH, `not there after ${mostSeconds} s; ${[...this.dropped].join('; ')}`);
    return this.nowMs / 1000;
  }
}

function scene(...manners: readonly Manner[]): Scene {
  const made = new Scene();
  for (const manner of manners) made.join(manner);
  return made;
}

test('one peer gives all, and several share the work', () => {
  const one = scene('honest');
  assert.ok(one.run(10) <= 2);
  assert.equal(one.requests, 6);
  const three = scene('honest', 'honest', 'honest');
  assert.ok(three.run(10) <= 1);
  assert.equal(three.requests, 6);
});

test('a liar, a silent one, one that rejects and odd lengths among them do not wedge it', () => {
  for (const manner of ['liar', 'sly', 'silent', 'rejects', 'other-length', 'changes', 'short'] as const) {
    for (const others of [
      [manner, 'honest'],
      ['honest', manner],
      [manner, manner, 'honest', manner],
    ] as const) {
      assert.ok(scene(...others).run(60) <= 30, `${others}`);
    }
  }
  const all = scene('zero', 'negative', 'absurd', 'none', 'liar', 'silent', 'rejects', 'sly', 'changes', 'honest');
  all.run(60);
  assert.match(all.dropped.get('zero-0')!, /metadata of 0 bytes/);
  assert.match(all.dropped.get('negative-0')!, /metadata of -1 bytes/);
  assert.match(all.dropped.get('absurd-0')!, /metadata of 2147483648 bytes, the limit is 9961472/);
  assert.ok(![...all.dropped.keys()].some((name) => name.startsWith('honest')));
});

test('a liar is known by the first copy that it gives alone; the honest are never called liars', () => {
  const one = scene('liar');
  for (let i = 0; i < 40; i++) one.step();
  assert.deepEqual(one.liars, ['liar-0']);
  const mixed = scene('sly', 'honest', 'sly', 'honest');
  mixed.run(60);
  assert.ok(mixed.liars.every((name) => name.startsWith('sly')));
  const alone = scene('sly', 'sly');
  for (let i = 0; i < 200; i++) alone.step();
  assert.equal(alone.whole, null);
  assert.equal(alone.liars.length, 2);
  alone.join('honest');
  alone.run(120);
});

test('those who drip keep nobody out, be they of one length or of many, before or beside the honest one', () => {
  assert.ok(scene(...Array.from({ length: 15 }, () => 'drips' as const), 'honest').run(300) <= 120);
  const many = scene(...Array.from({ length: 15 }, () => 'other-length' as const));
  for (let i = 0; i < 8; i++) many.step();
  many.join('honest');
  many.run(120);
});

test('who waits for a place gets it in its turn, however many come before it and come again', () => {
  const made = scene(...Array.from({ length: 15 }, () => 'slow-other' as const));
  for (let i = 0; i < 8; i++) made.step();
  made.join('honest');
  made.run(4 * (LIMITS.metadataTurnMs / 1000) + 10);
});

test('who waits for a turn is not idle; who is asked and who has nothing may be', () => {
  const assembly = new Assembly<number>(() => false);
  for (let peer = 0; peer <= LIMITS.metadataCopies; peer++) {
    assembly.add(peer);
    assert.equal(assembly.isWaiting(peer), false);
    assembly.sized(peer, 100_000 + peer);
    assembly.next(peer, 0);
  }
  assert.equal(assembly.isWaiting(0), false);
  assert.equal(assembly.isWaiting(LIMITS.metadataCopies), true);
});

test('an answer is told from data that nobody asked for', () => {
  const assembly = new Assembly<string>(() => false);
  assembly.add('peer');
  const none = { kind: 'more', isAnswer: false };
  assert.deepEqual(assembly.data('peer', 0, null, Buffer.alloc(1)), none);
  assembly.sized('peer', TRUTH.length);
  const piece = assembly.next('peer', 0);
  const bytes = pieceOf(TRUTH, piece);
  assert.deepEqual(assembly.data('peer', piece, null, bytes), { kind: 'more', isAnswer: true });
  assert.deepEqual(assembly.data('peer', piece, null, bytes), none);
});

test('whoever comes, an honest peer that stays gives all of it in the end', () => {
  const manner = fc.constantFrom<Manner>(
    'liar', 'sly', 'silent', 'rejects', 'drips', 'other-length', 'slow-other', 'changes', 'zero', 'negative',
    'absurd', 'none', 'short', 'honest',
  ); // biome-ignore format: a list
  fc.assert(
    fc.property(fc.array(manner, { maxLength: 12 }), fc.integer({ min: 0, max: 12 }), (others, at) => {
      const manners = [...others];
      manners.splice(Math.min(at, manners.length), 0, 'honest');
      const made = scene(...manners);
      made.run(300);
      assert.ok(![...made.dropped.keys(), ...made.liars].some((name) => name.startsWith('honest')));
    }),
    { numRuns: 300 },
  );
});

test('what is held follows what came, and lengths that are made up are not remembered without end', () => {
  const assembly = new Assembly<number>(() => false);
  for (let peer = 0; peer < 10_000; peer++) {
    assembly.add(peer);
    assembly.sized(peer, LIMITS.metadataBytes - peer);
    assembly.next(peer, peer * 60_000);
    assert.deepEqual(assembly.progress().receivedBytes, 0);
    if (peer >= 16) assembly.remove(peer - 16);
  }
});
