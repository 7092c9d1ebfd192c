/**
 * The shared table of peers on Redis or Valkey: one sorted set of words for each info-hash, scored by when a word ends,
 * in milliseconds since 1970 by the clock of Redis, so that clocks of depots need not agree.
 * Invariants: nothing is queued while there is no connection; an exchange ends in bounded time, and a connection on
 * which one did not is not used again; what a key holds that is no set of words harms nothing but that key.
 */
import { HaulError } from '../../errors.js';
import {
  SHARED_FOR_MS,
  type SharedAnswer,
  type SharedPage,
  type SharedRead,
  type SharedTable,
  type SharedWrite,
} from '../../tracker/shared/port.js';
import type { PeersAddress } from './address.js';
import type { ConnectRedis, RedisConnection, Reply } from './connection.js';
import { firstWord, troubleOf } from './trouble.js';

/** Of the format: who writes another may not be read. */
const PREFIX = 'haul:peers:1:';
const ALIVE_KEY = `${PREFIX}alive`;
const ALIVE_S = 60;
/** One exchange; then the connection is given up. */
const EXCHANGE_MS = 2_000;
/** Between two tries to connect. */
const RETRY_MS = 1_000;
/** Words of one page. */
const PAGE_WORDS = 500;
/** Words of one command. */
const WORDS_PER_COMMAND = 500;
/** Words come a little out of order: by the way to Redis, and as its clock is only known so well. */
const OVERLAP_MS = 500;
/** Words this far in the future are of a clock a little ahead; what is beyond is nobody's. */
const AHEAD_MS = 5_000;
/** A key is tidied after this, or after so many words. */
const TIDY_MS = 60_000;
const TIDY_WORDS = 20_000;
/** Beyond what is tidied now and then. */
const KEY_SLACK_S = 120;
/** Words of one key; the newest stay. As many as a tracker keeps peers of one swarm. */
const WORDS_PER_KEY = 100_000;
/** Looks at the clock of Redis that count. */
const OFFSETS = 16;
/** Keys of which it is known when they were tidied. */
const TIDIED_MAX = 100_000;

export interface RedisTableOptions {
  readonly address: PeersAddress;
  readonly connect: ConnectRedis;
  readonly now: () => number;
  /** Milliseconds; default 2000. */
  readonly exchangeMs?: number;
  /** Milliseconds; default 1000. */
  readonly retryMs?: number;
}

interface Tidied {
  atMs: number;
  words: number;
}

export class RedisTable implements SharedTable {
  readonly #options: RedisTableOptions;
  #connection: RedisConnection | null = null;
  /** Under way. */
  #connecting: Promise<void> | null = null;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #lastTrouble: HaulError = new HaulError('NETWORK', 'it was not reached yet');
  /** The clock of Redis is ours and this. */
  #offsetMs = 0;
  readonly #offsets: number[] = [];
  #isClosed = false;
  readonly #tidied = new Map<string, Tidied>();

  constructor(options: RedisTableOptions) {
    this.#options = options;
  }

  /** One try to connect. @throws HaulError what stood in the way */
  async open(): Promise<void> {
    await this.#connect();
    if (this.#connection === null) throw this.#lastTrouble;
  }

  async exchange(writes: readonly SharedWrite[], reads: readonly SharedRead[]): Promise<SharedAnswer> {
    const connection = this.#connection;
    if (connection === null) {
      if (this.#connecting === null && this.#options.now() >= this.#retryAtMs) void this.#connect();
      throw this.#lastTrouble;
    }
    try {
      return await inTime(this.#exchange(connection, writes, reads), this.#options.exchangeMs ?? EXCHANGE_MS);
    } catch (error) {
      this.#lost(connection, troubleOf(error));
      throw this.#lastTrouble;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#lastTrouble = new HaulError('CLOSED', 'it was closed');
    this.#connection?.destroy();
    this.#connection = null;
    await this.#connecting;
  }

  /** Never rejects. */
  #connect(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const { address, connect, now, retryMs = RETRY_MS, exchangeMs = EXCHANGE_MS } = this.#options;
    const opening = async (): Promise<void> => {
      let connection: RedisConnection | null = null;
      try {
        connection = await connect(address, exchangeMs, (error) => {
          if (connection !== null) this.#lost(connection, troubleOf(error));
        });
        this.#clock(await inTime(connection.send(['TIME']), exchangeMs));
        if (this.#isClosed) connection.destroy();
        else this.#connection = connection;
      } catch (error) {
        connection?.destroy();
        if (!this.#isClosed) this.#lastTrouble = troubleOf(error);
      }
    };
    this.#connecting = opening().finally(() => {
      this.#connecting = null;
      this.#retryAtMs = now() + retryMs;
    });
    return this.#connecting;
  }

  #lost(connection: RedisConnection, trouble: HaulError): void {
    connection.destroy();
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.#lastTrouble = trouble;
    this.#retryAtMs = this.#options.now() + (this.#options.retryMs ?? RETRY_MS);
    this.#tidied.clear();
  }

  async #exchange(
    connection: RedisConnection,
    writes: readonly SharedWrite[],
    reads: readonly SharedRead[],
  ): Promise<SharedAnswer> {
    const nowMs = Math.round(this.#options.now() + this.#offsetMs);
    // Sent in one turn, and awaited together: one that fails leaves none behind.
    const [time, marked, written, pages] = await Promise.all([
      settled(connection, ['TIME']),
      // Whether it takes anything at all, also while there is nothing to say.
      settled(connection, ['SET', ALIVE_KEY, '1', 'EX', String(ALIVE_S)]),
      this.#write(connection, writes, nowMs),
      Promise.all(reads.map((read) => page(connection, read, nowMs))),
    ]);
    if (time instanceof Error) throw time;
    this.#clock(time);
    const refusal = marked instanceof Error ? marked : written.refusal;
    const trouble = refusal === null ? null : troubleOf(refusal).message;
    return { pages, refusedCount: written.refusedCount, trouble };
  }

  #clock(reply: Reply): void {
    const [seconds, micros] = Array.isArray(reply) ? reply.map(Number) : [];
    const timeMs = (seconds ?? Number.NaN) * 1000 + (micros ?? Number.NaN) / 1000;
    if (!Number.isFinite(timeMs)) throw new HaulError('NETWORK', 'it does not speak as Redis does');
    // What comes late makes it smaller, and nothing makes it larger: the largest of some is the best.
    this.#offsets.push(timeMs - this.#options.now());
    if (this.#offsets.length > OFFSETS) this.#offsets.shift();
    this.#offsetMs = Math.max(...this.#offsets);
  }

  async #write(
    connection: RedisConnection,
    writes: readonly SharedWrite[],
    nowMs: number,
  ): Promise<{ readonly refusedCount: number; readonly refusal: Error | null }> {
    const sent: Promise<{ readonly words: number; readonly answer: Reply | Error }>[] = [];
    const send = (words: number, command: string[]): void => {
      sent.push(settled(connection, command).then((answer) => ({ words, answer })));
    };
    for (const [infoHash, { words, drops }] of byHash(writes)) {
      const key = keyOf(infoHash);
      if (drops.size > 0) send(0, ['ZREM', key, ...drops]);
      let command = ['ZADD', key];
      for (const [word, ageMs] of words) {
        command.push(String(nowMs + SHARED_FOR_MS - ageMs), word);
        if (command.length < 2 + 2 * WORDS_PER_COMMAND) continue;
        send(WORDS_PER_COMMAND, command);
        command = ['ZADD', key];
      }
      if (command.length > 2) send((command.length - 2) / 2, command);
      for (const tidying of this.#tidy(key, words.size, nowMs)) send(0, tidying);
    }
    let refusedCount = 0;
    let refusal: Error | null = null;
    for (const { words, answer } of await Promise.all(sent)) {
      if (!(answer instanceof Error)) continue;
      refusedCount += words;
      // Of this key alone.
      if (firstWord(answer) !== 'WRONGTYPE') refusal ??= answer;
    }
    return { refusedCount, refusal };
  }

  /** What is over, or nobody's, or too much goes; and all of it when no depot writes there any more. */
  #tidy(key: string, words: number, nowMs: number): string[][] {
    const known = this.#tidied.get(key);
    if (known !== undefined) known.words += words;
    if (known !== undefined && nowMs - known.atMs < TIDY_MS && known.words < TIDY_WORDS) return [];
    if (this.#tidied.size >= TIDIED_MAX) this.#tidied.clear();
    this.#tidied.set(key, { atMs: nowMs, words: 0 });
    return [
      ['ZREMRANGEBYSCORE', key, '-inf', String(nowMs)],
      ['ZREMRANGEBYSCORE', key, `(${nowMs + SHARED_FOR_MS + AHEAD_MS}`, '+inf'],
      ['ZREMRANGEBYRANK', key, '0', String(-WORDS_PER_KEY - 1)],
      ['EXPIRE', key, String(SHARED_FOR_MS / 1000 + KEY_SLACK_S)],
    ];
  }
}

interface Group {
  /** Their ages. */
  readonly words: Map<string, number>;
  /** Gone before any of the words comes. */
  readonly drops: Set<string>;
}

/** Of several words of one peer the last counts: what it drops may have come just before. */
function byHash(writes: readonly SharedWrite[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const { infoHash, word, ageMs, drops } of writes) {
    let group = groups.get(infoHash);
    if (group === undefined) {
      group = { words: new Map(), drops: new Set() };
      groups.set(infoHash, group);
    }
    for (const drop of drops) {
      group.drops.add(drop);
      group.words.delete(drop);
    }
    if (word !== null && ageMs < SHARED_FOR_MS) group.words.set(word, ageMs);
  }
  return groups;
}

function keyOf(infoHash: string): string {
  return PREFIX + Buffer.from(infoHash, 'latin1').toString('hex');
}

async function page(connection: RedisConnection, read: SharedRead, nowMs: number): Promise<SharedPage | null> {
  const from = read.cursor ?? nowMs;
  const latestMs = nowMs + SHARED_FOR_MS + AHEAD_MS;
  const command = ['ZRANGEBYSCORE', keyOf(read.infoHash), String(from), String(latestMs)];
  const reply = await settled(connection, [...command, 'WITHSCORES', 'LIMIT', '0', String(PAGE_WORDS)]);
  if (reply instanceof Error) {
    if (firstWord(reply) === 'WRONGTYPE') return null;
    throw reply;
  }
  if (!Array.isArray(reply)) return null;
  const words: string[] = [];
  const agesMs: number[] = [];
  let last = from;
  for (let at = 0; at + 1 < reply.length; at += 2) {
    last = Number(reply[at + 1]);
    words.push(String(reply[at]));
    agesMs.push(nowMs + SHARED_FOR_MS - last);
  }
  const isLast = words.length < PAGE_WORDS;
  // A page of words of one moment: on to the next, or it would never end.
  if (!isLast) return { words, agesMs, cursor: last === from ? last + 1 : last, isLast };
  return { words, agesMs, cursor: Math.max(from, nowMs + SHARED_FOR_MS - OVERLAP_MS), isLast };
}

/** An error of Redis as a value; whatever else goes wrong ends the connection, and this rejects. */
async function settled(connection: RedisConnection, command: string[]): Promise<Reply | Error> {
  try {
    return await connection.send(command);
  } catch (error) {
    if (connection.isReply(error)) return error as Error;
    throw error;
  }
}

/** @throws HaulError TIMEOUT */
async function inTime<T>(work: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new HaulError('TIMEOUT', 'it does not answer in time')), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
