/**
 * The guard in front of the `bencode` package (BEP 3, "bencoding"): nothing from outside reaches the package before
 * `scan` has accepted every byte. The package itself takes negative lengths, leading zeros, trailing bytes and
 * duplicate keys, rounds above 2^53 and has no depth limit.
 *
 * The scan copies nothing, does not recurse, and yields the byte spans of the top-level dictionary, so that an
 * info-hash is over the original bytes.
 */
import bencode from 'bencode';
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';

/** Dictionaries are Maps: no key of theirs can reach a prototype. Keys are named by `keyName`. */
export type BencodeDictionary = Map<string, BencodeValue>;
export type BencodeValue = number | Uint8Array | BencodeValue[] | BencodeDictionary;

/** What can be encoded. Fields that are `undefined` are left out; keys given as bytes are written as they are. */
export type BencodeInput =
  | number
  | string
  | Uint8Array
  | readonly BencodeInput[]
  | ReadonlyMap<string | Uint8Array, BencodeInput>
  | { readonly [key: string]: BencodeInput | undefined };

export interface ScanLimits {
  /** Lists and dictionaries inside each other; default `LIMITS.bencodeDepth`. */
  readonly depth?: number;
  /** Strings (keys too), integers, lists and dictionaries together; default `LIMITS.bencodeTokens`. */
  readonly tokens?: number;
  /**
   * Default true. False accepts keys out of order, which some writers of torrents and trackers produce; duplicates
   * never.
   */
  readonly requireSortedKeys?: boolean;
  /**
   * Default false. True ignores what follows the value, as others do with torrents (BEP 3 ends where its dictionary
   * ends).
   */
  readonly allowBytesAfter?: boolean;
}

/** One entry of the top-level dictionary: byte positions, ends exclusive. The key's are those of its content. */
export interface EntrySpan {
  readonly keyBegin: number;
  readonly keyEnd: number;
  readonly begin: number;
  readonly end: number;
}

export interface Scan {
  /** Entries of the top-level dictionary in the order of the bytes; empty when the top level is something else. */
  readonly entries: readonly EntrySpan[];
  /** Keys of all dictionaries at any depth. */
  readonly keyCount: number;
  /** Position of the first key that is out of order, or -1. */
  readonly unsortedAt: number;
  /** Position after the value; less than the length of the bytes only where `allowBytesAfter`. */
  readonly end: number;
  /** [begin, end) of the value of a top-level key (ASCII), or null. */
  span(key: string): readonly [number, number] | null;
}

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const DICTIONARY = 0x64;
const END = 0x65;
const INTEGER = 0x69;
const LIST = 0x6c;

/** The package assigns into plain objects, where this key would replace the prototype. */
const REFUSED_KEY = '__proto__';

const decoder = new TextDecoder();

/**
 * The name `decodeChecked` gives to a raw dictionary key: its UTF-8 text, or hex when it is not UTF-8 (as the package
 * does); for dictionaries keyed by info-hash, such as BEP 48 `files`.
 */
export function keyName(key: Uint8Array): string {
  const text = decoder.decode(key);
  return text.includes('\uFFFD') ? Buffer.from(key).toString('hex') : text;
}

function fail(what: string, position: number): HaulError {
  return new HaulError('BAD_BENCODE', `not valid bencode: ${what} at byte ${position}`, { position });
}

/** A list or dictionary that is being read; reused for every one at its depth. */
class Frame {
  isDictionary = false;
  /** A key was read and its value was not. */
  owesValue = false;
  /** Content of the last key; begin is -1 before the first. */
  keyBegin = -1;
  keyEnd = -1;
  /** Begin and end of every key so far, to build `seen` when the keys turn out not to be sorted. */
  readonly keySpans: number[] = [];
  seen: Set<string> | null = null;

  reset(isDictionary: boolean): void {
    this.isDictionary = isDictionary;
    this.owesValue = false;
    this.keyBegin = -1;
    this.keySpans.length = 0;
    this.seen = null;
  }
}

class Scanner implements Scan {
  readonly entries: EntrySpan[] = [];
  keyCount = 0;
  unsortedAt = -1;
  end = 0;
  readonly #bytes: Uint8Array;
  readonly #maxDepth: number;
  readonly #maxTokens: number;
  readonly #requireSortedKeys: boolean;
  readonly #allowBytesAfter: boolean;
  readonly #frames: Frame[] = [];
  #depth = 0;
  #tokens = 0;
  #position = 0;
  #valueBegin = 0;

  constructor(bytes: Uint8Array, limits: ScanLimits) {
    this.#bytes = bytes;
    this.#maxDepth = limits.depth ?? LIMITS.bencodeDepth;
    this.#maxTokens = limits.tokens ?? LIMITS.bencodeTokens;
    this.#requireSortedKeys = limits.requireSortedKeys ?? true;
    this.#allowBytesAfter = limits.allowBytesAfter ?? false;
  }

  run(): this {
    do this.#step();
    while (this.#depth > 0);
    this.end = this.#position;
    if (this.end !== this.#bytes.length && !this.#allowBytesAfter) throw fail('bytes after the end', this.end);
    return this;
  }

  span(key: string): readonly [number, number] | null {
    const wanted = Buffer.from(key);
    for (const { keyBegin, keyEnd, begin, end } of this.entries) {
      if (wanted.equals(this.#bytes.subarray(keyBegin, keyEnd))) return [begin, end];
    }
    return null;
  }

  /** Reads one key, one scalar, or one bracket of a list or dictionary. */
  #step(): void {
    const byte = this.#bytes[this.#position];
    if (byte === undefined) throw fail('the data ends too early', this.#position);
    const frame = this.#depth > 0 ? this.#frames[this.#depth - 1]! : null;
    if (byte === END && frame !== null) {
      this.#close(frame);
      return;
    }
    if (++this.#tokens > this.#maxTokens) throw fail(`more than ${this.#maxTokens} values`, this.#position);
    if (frame?.isDictionary && !frame.owesValue) this.#key(frame, byte);
    else if (byte === LIST || byte === DICTIONARY) this.#open(byte === DICTIONARY);
    else this.#scalar(byte);
  }

  #scalar(byte: number): void {
    if (byte === INTEGER) this.#integer();
    else if (byte >= ZERO && byte <= NINE) this.#string();
    else throw fail('no value can begin like this', this.#position);
    this.#valueEnds();
  }

  #open(isDictionary: boolean): void {
    if (this.#depth >= this.#maxDepth) throw fail(`nested deeper than ${this.#maxDepth}`, this.#position);
    const frame = this.#frames[this.#depth] ?? new Frame();
    this.#frames[this.#depth++] = frame;
    frame.reset(isDictionary);
    this.#position++;
  }

  #close(frame: Frame): void {
    if (frame.owesValue) throw fail('a dictionary key without a value', this.#position);
    this.#depth--;
    this.#position++;
    this.#valueEnds();
  }

  #valueEnds(): void {
    if (this.#depth === 0) return;
    const frame = this.#frames[this.#depth - 1]!;
    if (!frame.isDictionary) return;
    frame.owesValue = false;
    if (this.#depth !== 1) return;
    const { keyBegin, keyEnd } = frame;
    this.entries.push({ keyBegin, keyEnd, begin: this.#valueBegin, end: this.#position });
  }

  #key(frame: Frame, byte: number): void {
    const at = this.#position;
    if (byte < ZERO || byte > NINE) throw fail('a dictionary key that is not a string', at);
    const begin = this.#string();
    const end = this.#position;
    if (end - begin === REFUSED_KEY.length && this.#latin1(begin, end) === REFUSED_KEY) {
      throw fail(`the key ${REFUSED_KEY} is not accepted`, at);
    }
    if (frame.keyBegin >= 0) this.#checkOrder(frame, begin, end, at);
    if (!this.#requireSortedKeys) frame.keySpans.push(begin, end);
    frame.keyBegin = begin;
    frame.keyEnd = end;
    frame.owesValue = true;
    this.keyCount++;
    if (this.#depth === 1) this.#valueBegin = end;
  }

  /** Strictly rising keys cannot repeat; the set of keys is only built for a dictionary that is not sorted. */
  #checkOrder(frame: Frame, begin: number, end: number, at: number): void {
    const order = this.#compareKeys(frame, begin, end);
    if (order === 0) throw fail('a duplicate dictionary key', at);
    if (order > 0) {
      if (this.#requireSortedKeys) throw fail('dictionary keys out of order', at);
      if (this.unsortedAt < 0) this.unsortedAt = at;
      if (frame.seen === null) {
        frame.seen = new Set();
        for (let i = 0; i < frame.keySpans.length; i += 2) {
          frame.seen.add(this.#latin1(frame.keySpans[i]!, frame.keySpans[i + 1]!));
        }
      }
    }
    if (frame.seen === null) return;
    const key = this.#latin1(begin, end);
    if (frame.seen.has(key)) throw fail('a duplicate dictionary key', at);
    frame.seen.add(key);
  }

  /** Sign of (last key of the frame − this key) by raw bytes. */
  #compareKeys(frame: Frame, begin: number, end: number): number {
    const lastBytes = frame.keyEnd - frame.keyBegin;
    const common = Math.min(lastBytes, end - begin);
    for (let i = 0; i < common; i++) {
      const difference = this.#bytes[frame.keyBegin + i]! - this.#bytes[begin + i]!;
      if (difference !== 0) return difference;
    }
    return lastBytes - (end - begin);
  }

  #latin1(begin: number, end: number): string {
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + begin, end - begin).toString('latin1');
  }

  /** Leaves the position after the string; returns where its content begins. */
  #string(): number {
    const at = this.#position;
    let length = 0;
    let position = at;
    for (let byte = this.#bytes[position]; byte !== COLON; byte = this.#bytes[++position]) {
      if (byte === undefined) throw fail('the data ends too early', position);
      if (byte < ZERO || byte > NINE) throw fail('a string length with a character that is no digit', position);
      if (position > at && length === 0) throw fail('a string length with a leading zero', at);
      length = length * 10 + (byte - ZERO);
      if (length > this.#bytes.length) throw fail('a string longer than the data', at);
    }
    const begin = position + 1;
    if (length > this.#bytes.length - begin) throw fail('a string longer than the data', at);
    this.#position = begin + length;
    return begin;
  }

  #integer(): void {
    const at = this.#position;
    let position = at + 1;
    const isNegative = this.#bytes[position] === MINUS;
    if (isNegative) position++;
    const digits = position;
    let value = 0;
    for (let byte = this.#bytes[position]; byte !== END; byte = this.#bytes[++position]) {
      if (byte === undefined) throw fail('the data ends too early', position);
      if (byte < ZERO || byte > NINE) throw fail('an integer with a character that is no digit', position);
      if (position > digits && value === 0) throw fail('an integer with a leading zero', digits);
      value = value * 10 + (byte - ZERO);
      if (value > Number.MAX_SAFE_INTEGER) throw fail('an integer beyond 2^53 - 1', at);
    }
    if (position === digits) throw fail('an integer without digits', position);
    if (isNegative && value === 0) throw fail('the integer -0', at);
    this.#position = position + 1;
  }
}

/**
 * Accepts exactly one canonical bencoded value that fills `bytes`, but for what the limits allow.
 * @throws HaulError BAD_BENCODE with `facts.position`, the byte at fault.
 */
export function scan(bytes: Uint8Array, limits: ScanLimits = {}): Scan {
  return new Scanner(bytes, limits).run();
}

/**
 * Scans and decodes. Strings come as bytes that belong to the result.
 * @throws HaulError BAD_BENCODE
 */
export function decodeChecked(bytes: Uint8Array, limits: ScanLimits = {}): BencodeValue {
  return decodeScanned(bytes, scan(bytes, limits));
}

/**
 * The second half of `decodeChecked`, for callers that keep the scan. `scanned` must be the scan of these very bytes.
 */
export function decodeScanned(bytes: Uint8Array, scanned: Scan): BencodeValue {
  let keyCount = 0;
  // Recursion is bounded: the scan has checked the depth.
  const convert = (value: unknown): BencodeValue => {
    if (typeof value === 'number' || value instanceof Uint8Array) return value;
    if (Array.isArray(value)) return value.map(convert);
    const dictionary: BencodeDictionary = new Map();
    for (const [key, item] of Object.entries(value as object)) dictionary.set(key, convert(item));
    keyCount += dictionary.size;
    return dictionary;
  };
  const value = convert(bencode.decode(bytes.subarray(0, scanned.end)));
  // Different bytes can get one name (a byte order mark is dropped, invalid UTF-8 becomes hex), and then a value is
  // lost.
  if (keyCount !== scanned.keyCount) throw fail('two keys of one dictionary that read the same', 0);
  return value;
}

/** The package sorts keys by `String(key)`; as Latin-1 that is the order of the raw bytes, which BEP 3 asks for. */
class ByteKey extends Uint8Array {
  override toString(): string {
    return Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString('latin1');
  }
}

const ASCII = /^[\0-\x7f]*$/;

/**
 * Encodes canonically: keys sorted by raw bytes.
 * @throws Error for what bencode cannot say (fractions, null, a key twice): that is a mistake of the caller.
 */
export function encodeBencode(value: BencodeInput): Buffer {
  const bytes = bencode.encode(toEncodable(value));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toEncodable(value: BencodeInput): unknown {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new Error(`bencode has no number ${value}`);
    return value === 0 ? 0 : value;
  }
  if (Array.isArray(value)) return value.map(toEncodable);
  if (value === null || typeof value !== 'object') throw new Error(`bencode has no ${String(value)}`);
  const entries: Iterable<[string | Uint8Array, BencodeInput | undefined]> =
    value instanceof Map ? value : Object.entries(value);
  const names = new Set<string>();
  const dictionary = new Map<string | ByteKey, unknown>();
  for (const [key, item] of entries) {
    if (item === undefined) continue;
    const encodable = typeof key === 'string' && ASCII.test(key) ? key : new ByteKey(Buffer.from(key));
    if (names.size === names.add(encodable.toString()).size) throw new Error('a dictionary key twice');
    dictionary.set(encodable, toEncodable(item));
  }
  return dictionary;
}
