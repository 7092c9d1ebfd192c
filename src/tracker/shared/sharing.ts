/**
 * Between the swarms of a tracker and the table that several share: what is announced here is written behind in
 * batches, and what the others were told is read into our own table, of a swarm at most once a second. Pure: clock,
 * pauses and table are arguments, and somebody calls `tick`.
 * Invariants: no announce waits for any of this; whatever waits is bounded; one exchange at a time. While the table is
 * away our own serves, and when it is back all that was said here is said to it again.
 */
import type { Log } from '../../log.js';
import { isLoopback, type PeerTable } from '../peer-table.js';
import type { AnnounceQuery } from '../query.js';
import type { Swarms } from '../swarms.js';
import { newCopy, type SwarmCopy } from './copy.js';
import { SHARED_FOR_MS, type SharedPage, type SharedRead, type SharedTable, type Sharing } from './port.js';
import { WaitingWrites } from './waiting.js';
import { encodeWord, parseWord } from './word.js';

/** How often `tick` is called, milliseconds. */
export const SHARED_TICK_MS = 250;
/** A swarm is read again after this when somebody is told of it, and for a while from then on: more will come. */
const COPY_MS = 1_000;
const HOT_MS = 30_000;
/** One that has peers though nobody asks: whoever comes next is told of the others at once. */
const WARM_MS = 5_000;
/** Swarms looked at for that with each tick. */
const WARM_LOOKS = 250;
/** A table that works is asked so often whether it still does. */
const BEAT_MS = 1_000;
/** An announce that says what is known already is written again after this: a hammering client costs nothing. */
const REFRESH_S = 30;
/** Of one exchange, a few milliseconds of work: words of one swarm go together, and commands cost more than words. */
const WRITES_AT_ONCE = 2_000;
const READS_AT_ONCE = 64;
/** Of one tick, however much there is to do: announces have the rest of the core. */
const WRITES_PER_TICK = 8_000;
const WORDS_READ_PER_TICK = 12_000;
const EXCHANGES_PER_TICK = 32;
/** Above so many that wait peers are marked instead, and told when these are. */
const QUEUED_MAX = 10_000;
/** What `PeerTable.sharedAtS` says of a peer that waits to be told. */
const UNTOLD_S = 1;
/** Who was silent for longer is not told of later: it may be gone, and would seem to have spoken now. */
const UNTOLD_SILENT_S = 150;
/** Words taken in one go; then announces have their turn. */
const WORDS_AT_ONCE = 1_000;
/** Swarms that wait to be read; who asks for one more is answered from our own table alone. */
const WANTED_MAX = 10_000;
/** Swarms that somebody asked for and that are not in our table. */
const ABSENT_MAX = 10_000;
/** Words from this far in the future are of a clock a little ahead. */
const AHEAD_MS = 5_000;
/** Of peers that stopped, the latest. */
const FAREWELLS_MAX = 10_000;
/** After the table is back all is read again, and once more when the others have said all they know to it. */
const AGAIN_MS = 5_000;

export interface SharingOptions {
  readonly table: SharedTable;
  readonly swarms: Pick<Swarms, 'learn' | 'unlearn' | 'list'>;
  readonly now: () => number;
  /** Lets announces have their turn. */
  readonly pause: () => Promise<void>;
  /** Peers at 127.0.0.1 are told of, too: all trackers are on one machine. */
  readonly sharesLoopback: boolean;
  /** Of this tracker alone: letters and digits. */
  readonly id: string;
  /** What the table is called in a log. */
  readonly name: string;
  readonly log?: Log | undefined;
}

export interface SharingState {
  /** Null: it works. Else why our own table serves alone. */
  readonly trouble: string | null;
  /** Words since the start: written; lost, as too many waited or the table failed; read and understood. */
  readonly written: number;
  readonly dropped: number;
  readonly read: number;
  /** Words that were none, and keys that hold something else. */
  readonly foreign: number;
  /** Words that wait; at least 1 while peers do that are told when these are. */
  readonly waiting: number;
}

type Said = Pick<AnnounceQuery, 'peerId' | 'zone'>;

interface Wanted extends SharedRead {
  readonly copy: SwarmCopy;
}

export class PeerSharing implements Sharing {
  readonly #options: SharingOptions;
  readonly #waiting = new WaitingWrites();
  #wanted: Wanted[] = [];
  readonly #absent = new Map<string, SwarmCopy>();
  /** Peers that stopped, and when that was said: what was said of them before may be read later. */
  readonly #farewells = new Map<string, number>();
  #running: Promise<void> | null = null;
  #isClosed = false;
  #trouble: string | null = 'it was not reached yet';
  #isTold = false;
  #epoch = 1;
  #againAtMs = Number.POSITIVE_INFINITY;
  #beatAtMs = Number.NEGATIVE_INFINITY;
  #warmAt = 0;
  /** What is said again, while it is. */
  #retold: Generator<void> | null = null;
  #hasUntold = false;
  #writesLeft = WRITES_AT_ONCE;
  #readsLeft = 0;
  #writtenCount = 0;
  #lostCount = 0;
  #readCount = 0;
  #foreignCount = 0;

  constructor(options: SharingOptions) {
    this.#options = options;
  }

  get state(): SharingState {
    return {
      trouble: this.#trouble,
      written: this.#writtenCount,
      dropped: this.#waiting.droppedCount + this.#lostCount,
      read: this.#readCount,
      foreign: this.#foreignCount,
      waiting: this.#waiting.count + Number(this.#hasUntold || this.#retold !== null),
    };
  }

  before(table: PeerTable, slot: number, { peerId, isSeed, zone = '' }: Parameters<Sharing['before']>[2]) {
    return slot < 0 || table.isSame(slot, peerId, isSeed, zone) ? null : wordOf(table, slot);
  }

  announced(
    { infoHash }: { readonly infoHash: string },
    table: PeerTable,
    slot: number,
    said: Pick<AnnounceQuery, 'peerId' | 'isSeed' | 'zone'>,
    nowS: number,
    before: string | null,
  ): void {
    if (before === null && nowS - table.sharedAtS(slot) < REFRESH_S) return;
    if (!this.#options.sharesLoopback && table.isLoopback(slot)) return;
    if (this.#trouble !== null || this.#waiting.count >= QUEUED_MAX) {
      table.markShared(slot, UNTOLD_S);
      this.#hasUntold = true;
      return;
    }
    table.markShared(slot, nowS);
    const word = encodeWord(said.isSeed ? 'seed' : 'leech', table.address(slot), said.peerId, said.zone ?? '');
    this.#waiting.push({ infoHash, word, drops: before === null ? [] : [before] });
  }

  left(infoHash: string, compact: Uint8Array, { peerId, zone = '' }: Said, isKnown: boolean): void {
    if (!this.#options.sharesLoopback && isLoopback(compact, 0, compact.length)) return;
    // Said later it would end what began meanwhile.
    if (this.#trouble !== null) return;
    this.#farewell(infoHash, compact, peerId, this.#options.now());
    this.#sayStopped(infoHash, compact, { peerId, zone }, isKnown);
  }

  #sayStopped(infoHash: string, compact: Uint8Array, { peerId, zone = '' }: Said, isKnown = true): void {
    const drops = [encodeWord('seed', compact, peerId, zone), encodeWord('leech', compact, peerId, zone)];
    // Who was never here leaves no word: anybody can say goodbye in any name.
    const word = isKnown ? encodeWord('stopped', compact, peerId, this.#options.id) : null;
    this.#waiting.push({ infoHash, word, drops });
  }

  wanted(infoHash: string, known: SwarmCopy | null, nowMs: number): void {
    if (known !== null) known.wantedAtMs = nowMs;
    if (known !== null && nowMs - known.readAtMs < COPY_MS) return;
    const copy = known ?? this.#copyOfAbsent(infoHash);
    if (copy === null || copy.isQueued || nowMs - copy.readAtMs < COPY_MS) return;
    this.#want(infoHash, copy, nowMs);
  }

  /** To be called every `SHARED_TICK_MS`. */
  tick(): void {
    if (this.#running !== null || this.#isClosed) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** What the last `tick` began is done. Never rejects. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Says what waits, if the table works. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#running;
    if (this.#trouble === null && this.#waiting.count > 0) await this.#exchange();
    await this.#options.table.close().catch(() => {});
  }

  async #run(): Promise<void> {
    const nowMs = this.#options.now();
    if (nowMs >= this.#againAtMs) this.#readAgain(Number.POSITIVE_INFINITY);
    for (const [infoHash, copy] of this.#absent) {
      if (!copy.isQueued && nowMs - copy.readAtMs >= COPY_MS) this.#absent.delete(infoHash);
    }
    this.#wantWarm(nowMs);
    const isBeat = this.#trouble !== null || nowMs - this.#beatAtMs >= BEAT_MS;
    if (isBeat) {
      this.#beatAtMs = nowMs;
      if (!(await this.#beat())) return;
    }
    this.#writesLeft = WRITES_PER_TICK;
    this.#readsLeft = WORDS_READ_PER_TICK;
    for (let k = 0; k < EXCHANGES_PER_TICK && this.#trouble === null; k++) {
      if (this.#hasUntold && this.#retold === null && this.#waiting.count === 0) this.#retold = this.#retell(UNTOLD_S);
      while (this.#retold !== null && this.#waiting.count < WRITES_AT_ONCE) {
        if (this.#retold.next().done === true) this.#retold = null;
      }
      const canWrite = this.#waiting.count > 0 && this.#writesLeft > 0;
      if (!canWrite && (this.#wanted.length === 0 || this.#readsLeft <= 0)) return;
      await this.#exchange();
    }
  }

  /** Whether the table works. */
  async #beat(): Promise<boolean> {
    try {
      this.#found((await this.#options.table.exchange([], [])).trouble);
    } catch (error) {
      this.#found(error instanceof Error ? error.message : 'it does not answer');
    }
    return this.#trouble === null;
  }

  async #exchange(): Promise<void> {
    const nowMs = this.#options.now();
    const writes = this.#waiting.take(Math.min(WRITES_AT_ONCE, this.#writesLeft));
    this.#writesLeft -= writes.length;
    const reads = this.#wanted.splice(0, this.#readsLeft > 0 ? READS_AT_ONCE : 0);
    for (const { copy } of reads) copy.readAtMs = nowMs;
    try {
      const asked = reads.map(({ infoHash, copy }) => ({ infoHash, cursor: this.#cursorOf(copy) }));
      const { pages, refusedCount, trouble } = await this.#options.table.exchange(writes, asked);
      this.#lostCount += refusedCount;
      this.#writtenCount += writes.length - refusedCount;
      this.#found(trouble);
      await this.#take(reads, pages);
    } catch (error) {
      this.#lostCount += writes.length;
      this.#found(error instanceof Error ? error.message : 'it does not answer');
    } finally {
      for (const { copy } of reads) copy.isQueued = false;
    }
  }

  /** What others were told. */
  async #take(reads: readonly Wanted[], pages: readonly (SharedPage | null)[]): Promise<void> {
    let inOneGo = 0;
    for (const [at, page] of pages.entries()) {
      const { infoHash, copy } = reads[at]!;
      if (page === null) {
        this.#foreignCount++;
        continue;
      }
      copy.cursor = page.cursor;
      const nowMs = this.#options.now();
      for (const [k, text] of page.words.entries()) this.#learn(infoHash, text, page.agesMs[k]!, nowMs);
      copy.isQueued = false;
      if (!page.isLast) this.#want(infoHash, copy, nowMs);
      inOneGo += page.words.length;
      this.#readsLeft -= page.words.length;
      if (inOneGo < WORDS_AT_ONCE) continue;
      inOneGo = 0;
      await this.#options.pause();
    }
  }

  #learn(infoHash: string, text: string, ageMs: number, nowMs: number): void {
    const word = parseWord(text);
    if (word === null || !(ageMs >= -AHEAD_MS && ageMs <= SHARED_FOR_MS)) {
      this.#foreignCount++;
      return;
    }
    const { kind, compact, peerId, zone } = word;
    if (!this.#options.sharesLoopback && isLoopback(compact, 0, compact.length)) return;
    this.#readCount++;
    const peer = { compact, peerId, zone, isSeed: kind === 'seed', ageS: Math.max(0, ageMs / 1000) };
    const { swarms, id } = this.#options;
    const saidAtMs = nowMs - ageMs;
    if (kind !== 'stopped') {
      const leftAtMs = this.#farewells.get(peerKey(infoHash, compact, peerId));
      if (leftAtMs === undefined || saidAtMs >= leftAtMs) swarms.learn(infoHash, peer, nowMs);
      return;
    }
    this.#farewell(infoHash, compact, peerId, saidAtMs);
    // What was announced here before may be read by the others only after it: they are told once more.
    const told = swarms.unlearn(infoHash, peer, nowMs, zone === id);
    if (told !== null) this.#sayStopped(infoHash, compact, { peerId, zone: told });
  }

  #farewell(infoHash: string, compact: Uint8Array, peerId: string, saidAtMs: number): void {
    const key = peerKey(infoHash, compact, peerId);
    this.#farewells.delete(key);
    this.#farewells.set(key, saidAtMs);
    if (this.#farewells.size > FAREWELLS_MAX) this.#farewells.delete(this.#farewells.keys().next().value!);
  }

  #cursorOf(copy: SwarmCopy): number | null {
    if (copy.epoch === this.#epoch) return copy.cursor;
    copy.epoch = this.#epoch;
    copy.cursor = null;
    return null;
  }

  #want(infoHash: string, copy: SwarmCopy, nowMs: number): void {
    if (this.#trouble !== null || this.#wanted.length >= WANTED_MAX) return;
    copy.isQueued = true;
    copy.readAtMs = nowMs;
    this.#wanted.push({ infoHash, cursor: null, copy });
  }

  #copyOfAbsent(infoHash: string): SwarmCopy | null {
    const known = this.#absent.get(infoHash);
    if (known !== undefined) return known;
    if (this.#absent.size >= ABSENT_MAX) return null;
    const copy = newCopy();
    this.#absent.set(infoHash, copy);
    return copy;
  }

  #wantWarm(nowMs: number): void {
    const { list } = this.#options.swarms;
    for (let looks = Math.min(WARM_LOOKS, list.length); looks > 0; looks--) {
      if (this.#warmAt >= list.length) this.#warmAt = 0;
      const { infoHash, table4, table6, copy } = list[this.#warmAt++]!;
      const restMs = nowMs - copy.wantedAtMs < HOT_MS ? COPY_MS : WARM_MS;
      if (copy.isQueued || nowMs - copy.readAtMs < restMs || table4.count + table6.count === 0) continue;
      this.#want(infoHash, copy, nowMs);
    }
  }

  #found(trouble: string | null): void {
    if (trouble === this.#trouble) return;
    const { log, name, now } = this.#options;
    this.#trouble = trouble;
    if (trouble !== null) {
      // Once, however its trouble changes before it is back.
      if (!this.#isTold) log?.('warn', `${name}: ${trouble}; meanwhile only peers that announce here are named`);
      this.#isTold = true;
      for (const { copy } of this.#wanted.splice(0)) copy.isQueued = false;
      this.#waiting.clear();
      return;
    }
    this.#isTold = false;
    log?.('info', `${name}: peers are shared`);
    this.#retold = this.#retell(Number.POSITIVE_INFINITY);
    this.#readAgain(now() + AGAIN_MS);
  }

  #readAgain(nextMs: number): void {
    this.#epoch++;
    this.#againAtMs = nextMs;
  }

  /**
   * Says again what was announced here and told up to then, swarm by swarm. Tables may change meanwhile: who is missed
   * comes again. It is said as of now, or nobody would read it who has read what was said since.
   */
  *#retell(toldUntilS: number): Generator<void> {
    const { swarms, now } = this.#options;
    this.#hasUntold = false;
    for (let at = 0; at < swarms.list.length; at++) {
      const { infoHash, table4, table6 } = swarms.list[at]!;
      for (const table of [table4, table6]) {
        for (let slot = 0; slot < table.count; slot++) {
          const nowS = Math.floor(now() / 1000);
          const toldS = table.sharedAtS(slot);
          if (toldS === 0 || toldS > toldUntilS || table.seenAtS(slot) < nowS - UNTOLD_SILENT_S) continue;
          table.markShared(slot, nowS);
          this.#waiting.push({ infoHash, word: wordOf(table, slot), drops: [] });
          yield;
        }
      }
      yield;
    }
  }
}

function peerKey(infoHash: string, compact: Uint8Array, peerId: string): string {
  return infoHash + Buffer.from(compact).toString('latin1') + peerId;
}

/** What a peer of our table says to the others. */
function wordOf(table: PeerTable, slot: number): string {
  const peerId = table.peerId(slot).toString('latin1');
  return encodeWord(table.isSeed(slot) ? 'seed' : 'leech', table.address(slot), peerId, table.zoneOf(slot));
}
