/**
 * SHA-1 and SHA-256 of many messages in one call of the native library: a lane of the processor for each. A message is
 * a list of ranges of memory, named by address, with zeros between them where that is asked for.
 * Invariant: a call reads nothing but its ranges, and only while it runs. Whoever makes it answers for the memory being
 * there.
 */
import * as crypto from 'node:crypto';
import { addressOf, nativeLibrary } from './library.js';

export type HashAlgorithm = 'sha1' | 'sha256';

/** The numbers of `enum sh_way_id`, for tests and for people. */
export const HASH_WAYS = [
  'SHA instructions, 1 stream',
  'SHA instructions, 2 streams',
  'SHA instructions, 4 streams',
  'AVX2, 8 lanes',
  'AVX-512, 16 lanes',
  'ARMv8, 1 stream',
  'ARMv8, 2 streams',
  'ARMv8, 4 streams',
] as const;
/** The fastest for the messages that are left at each moment. */
export const FASTEST_WAY = -1;

const ALGORITHMS = { sha1: { number: 0, digestBytes: 20 }, sha256: { number: 1, digestBytes: 32 } } as const;
const FIRST = 1;
const LAST = 2;
/** The lanes of the widest way. */
const MOST_MESSAGES = 16;
/** `struct sh_message` and `struct sh_range`, in words of 32 bits. */
const MESSAGE_WORDS = 12;
const RANGE_WORDS = 4;
const [COUNT_AT, FLAGS_AT] = [10, 11];
const TWO_32 = 2 ** 32;

/** Messages of one call, put together and hashed; used again and again. */
export class HashCall {
  readonly #hash: NonNullable<ReturnType<typeof nativeLibrary>>['hash'];
  readonly #algorithm: HashAlgorithm;
  #messages = new Uint32Array(MOST_MESSAGES * MESSAGE_WORDS);
  #ranges = new Uint32Array(2 * MOST_MESSAGES * RANGE_WORDS);
  #messageCount = 0;
  #rangeCount = 0;

  /** @throws where there is no native library */
  constructor(algorithm: HashAlgorithm) {
    const functions = nativeLibrary();
    if (functions === null) throw new Error('there is no native library');
    this.#hash = functions.hash;
    this.#algorithm = algorithm;
  }

  /**
   * The messages of the next call are added after this. What was not `isLast` goes on with the same place in the order.
   */
  clear(): void {
    this.#messageCount = 0;
    this.#rangeCount = 0;
  }

  /** The ranges added next are its own. A part that is not the last is a multiple of 64 bytes long. */
  message(isFirst = true, isLast = true): void {
    const at = this.#messageCount++ * MESSAGE_WORDS;
    if (at === this.#messages.length) this.#messages = grown(this.#messages);
    this.#messages[at + COUNT_AT] = 0;
    this.#messages[at + FLAGS_AT] = (isFirst ? FIRST : 0) | (isLast ? LAST : 0);
  }

  /** @param address 0: zeros */
  range(address: number, lengthBytes: number): void {
    const at = this.#rangeCount++ * RANGE_WORDS;
    if (at === this.#ranges.length) this.#ranges = grown(this.#ranges);
    const ranges = this.#ranges;
    ranges[at] = address;
    ranges[at + 1] = address / TWO_32;
    ranges[at + 2] = lengthBytes;
    ranges[at + 3] = lengthBytes / TWO_32;
    this.#messages[(this.#messageCount - 1) * MESSAGE_WORDS + COUNT_AT]!++;
  }

  /** @throws when a part has a length that it must not have, or for a way that this machine has not */
  run(way: number = FASTEST_WAY): void {
    const { number } = ALGORITHMS[this.#algorithm];
    const result = this.#hash(number, this.#messages, this.#messageCount, this.#ranges, this.#rangeCount, way);
    if (result !== 0) throw new Error(`the native hash refused its messages: ${result}`);
  }

  /** A copy of the digest of a message that ended. */
  digest(index: number): Buffer {
    const { digestBytes } = ALGORITHMS[this.#algorithm];
    const { buffer } = this.#messages;
    return Buffer.from(new Uint8Array(buffer, index * MESSAGE_WORDS * 4, digestBytes));
  }
}

function grown(words: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(words.length * 2);
  larger.set(words);
  return larger;
}

/** Most pieces of a call of `digestFile`. */
export const DIGEST_FILE_PIECES = 64;

/** Where bytes lie: in an open file. */
export interface FilePlace {
  readonly fd: number;
  readonly beginBytes: number;
}

/** Pieces side by side, `lengthBytes` together. */
export interface FilePieces {
  readonly count: number;
  readonly pieceLengthBytes: number;
  readonly lengthBytes: number;
}

/**
 * Reads so many bytes of a file and hashes them as pieces, side by side; of at most DIGEST_FILE_PIECES pieces the last
 * may be shorter. One call, where reading and hashing step by step is some hundred of them; what is in memory is not
 * copied.
 * @param scratch what is not in memory is read to, an even share for each piece
 * @returns their digests, or null: no library, or trouble with the file, which whoever reads it step by step will meet
 */
export function digestFile(
  algorithm: HashAlgorithm,
  { fd, beginBytes }: FilePlace,
  { count, pieceLengthBytes, lengthBytes }: FilePieces,
  scratch: Uint8Array,
): Buffer | null {
  const { number, digestBytes } = ALGORITHMS[algorithm];
  const digests = Buffer.alloc(count * digestBytes);
  const call = nativeLibrary()?.digestFile;
  const result = call?.(number, fd, beginBytes, lengthBytes, pieceLengthBytes, scratch, scratch.length, digests);
  return result === 0 ? digests : null;
}

/** Ways of this machine, as numbers of HASH_WAYS. None without the library. */
export function hashWays(algorithm: HashAlgorithm): number[] {
  const ways = nativeLibrary()?.hashWays(ALGORITHMS[algorithm].number) ?? 0;
  return [...HASH_WAYS.keys()].filter((way) => (ways >> way) & 1);
}

export interface HashRates {
  /** So many messages at once are hashed about as fast as any number. */
  readonly company: number;
  /** From this many on it is worth it; fewer are hashed as fast by Node itself. */
  readonly atLeast: number;
}

const rates = new Map<HashAlgorithm, HashRates | null>();
/** Of the best rate: what counts as just as fast. */
const NEARLY = 0.9;
const SAMPLE_BYTES = 64 * 1024;
const SAMPLES = 5;
/** Some blocks of 64 bytes, and messages that end at all places in one. */
const PROOF_BYTES = 700;

/** MB/s of Node's own hash on this thread; the best of some tries. */
function rateOfNode(algorithm: HashAlgorithm): number {
  const sample = Buffer.alloc(SAMPLE_BYTES);
  let best = 0;
  for (let i = 0; i < SAMPLES; i++) {
    const begin = process.hrtime.bigint();
    crypto.createHash(algorithm).update(sample).digest();
    best = Math.max(best, (SAMPLE_BYTES * 1000) / Number(process.hrtime.bigint() - begin));
  }
  return best;
}

/**
 * For who hashes: measured once, after every way was proven right. Null where there is nothing to gain: no library, or
 * none of its ways here.
 */
export function hashRates(algorithm: HashAlgorithm): HashRates | null {
  const known = rates.get(algorithm);
  if (known !== undefined) return known;
  const isUsable = hashWays(algorithm).length > 0 && isRight(algorithm);
  const found = isUsable ? measureRates(algorithm) : null;
  rates.set(algorithm, found);
  return found;
}

/** For who has others hash, and leaves the proof to them: how many messages to send at once, 1 where any will do. */
export function hashCompany(algorithm: HashAlgorithm): number {
  return (rates.has(algorithm) ? rates.get(algorithm) : measureRates(algorithm))?.company ?? 1;
}

/**
 * Every way of this machine gives the digests that Node gives: the compiler that made the library is not ours to
 * choose.
 */
function isRight(algorithm: HashAlgorithm): boolean {
  const sample = Buffer.from(Uint8Array.from({ length: PROOF_BYTES }, (_, index) => index * 7 + (index >> 8)));
  const lengths = Array.from({ length: MOST_MESSAGES + 1 }, (_, index) => PROOF_BYTES - index * 29);
  const call = new HashCall(algorithm);
  return hashWays(algorithm).every((way) => {
    call.clear();
    for (const length of lengths) {
      call.message();
      call.range(addressOf(sample), length);
    }
    call.run(way);
    return lengths.every((length, index) => {
      const expected = crypto.createHash(algorithm).update(sample.subarray(0, length)).digest();
      return call.digest(index).equals(expected);
    });
  });
}

function measureRates(algorithm: HashAlgorithm): HashRates | null {
  const functions = nativeLibrary();
  if (functions === null || hashWays(algorithm).length === 0) return null;
  const { number } = ALGORITHMS[algorithm];
  const counts = Array.from({ length: MOST_MESSAGES }, (_, index) => index + 1);
  const rateOf = counts.map((count) => functions.hashRate(number, count));
  const firstAt = (rate: number): number | undefined => counts.find((count) => rateOf[count - 1]! >= NEARLY * rate);
  const atLeast = firstAt(rateOfNode(algorithm));
  return atLeast === undefined ? null : { atLeast, company: Math.max(atLeast, firstAt(Math.max(...rateOf))!) };
}
