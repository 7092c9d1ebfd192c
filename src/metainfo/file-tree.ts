/**
 * The `file tree` of BEP 52: dictionaries are folders, and one whose only key is empty is a file. It is read from its
 * bytes, for its order is that of the raw keys. These bytes have passed `scan` before: they are known to be
 * well-formed.
 */
import { HaulError } from '../errors.js';

const DICTIONARY = 0x64;
const END = 0x65;
const INTEGER = 0x69;
const LIST = 0x6c;
const COLON = 0x3a;
const ZERO = 0x30;

/** Names are Latin-1, one character for a byte. */
export interface TreeFile {
  /** Components below the torrent's name; good until the next file is asked for. */
  readonly path: readonly string[];
  /** 0 for symbolic links, as in the list of version 1. */
  readonly lengthBytes: number;
  /** Target of a symbolic link (BEP 47), or null. */
  readonly target: readonly string[] | null;
}

/**
 * The files in their order. One at a time: a folder is written once and is in the path of all its files.
 * @param bytes the value of `file tree`, and nothing else
 * @throws HaulError BAD_TORRENT: it is no such tree
 */
export function* treeFiles(bytes: Uint8Array): Generator<TreeFile> {
  const reader = new Reader(bytes);
  const path: string[] = [];
  let isFirstKey = true;
  reader.enter();
  for (;;) {
    if (reader.take(END)) {
      if (path.pop() === undefined) return;
      isFirstKey = false;
      continue;
    }
    const key = reader.string();
    reader.enter();
    if (key !== '') {
      path.push(key);
      isFirstKey = true;
      continue;
    }
    if (path.length === 0) throw bad('it has a file without a name');
    yield { path, ...reader.attributes() };
    if (!isFirstKey || !reader.isAt(END)) throw bad('something is a file and a folder');
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  isAt(byte: number): boolean {
    return this.#bytes[this.#at] === byte;
  }

  take(byte: number): boolean {
    if (!this.isAt(byte)) return false;
    this.#at++;
    return true;
  }

  /** Into a dictionary. */
  enter(): void {
    if (!this.take(DICTIONARY)) throw bad('something in it is no dictionary');
  }

  /** A key or a string, whose length comes first. */
  string(): string {
    let length = 0;
    while (!this.take(COLON)) length = length * 10 + this.#bytes[this.#at++]! - ZERO;
    const { buffer, byteOffset } = this.#bytes;
    const text = Buffer.from(buffer, byteOffset + this.#at, length).toString('latin1');
    this.#at += length;
    return text;
  }

  /** What is known of a file; leaves its dictionary, which was entered. */
  attributes(): Pick<TreeFile, 'lengthBytes' | 'target'> {
    let lengthBytes = -1;
    let isLink = false;
    let target: string[] | null = null;
    while (!this.take(END)) {
      const key = this.string();
      if (key === 'length' && this.isAt(INTEGER)) lengthBytes = this.#integer();
      else if (key === 'attr' && this.#isAtString()) isLink = this.string().includes('l');
      else if (key === 'symlink path' && this.isAt(LIST)) target = this.#strings();
      else this.#skip();
    }
    if (isLink) return { lengthBytes: 0, target };
    if (lengthBytes < 0) throw bad("a file has no 'length'");
    return { lengthBytes, target: null };
  }

  #isAtString(): boolean {
    const byte = this.#bytes[this.#at]!;
    return byte >= ZERO && byte < COLON;
  }

  #integer(): number {
    const end = this.#bytes.indexOf(END, this.#at);
    const { buffer, byteOffset } = this.#bytes;
    const digits = Buffer.from(buffer, byteOffset + this.#at + 1, end - this.#at - 1).toString('latin1');
    this.#at = end + 1;
    return Number(digits);
  }

  /** A list of strings, or null when something else is in it. */
  #strings(): string[] | null {
    const strings: string[] = [];
    let isPure = true;
    for (this.#at++; !this.take(END); ) {
      if (this.#isAtString()) strings.push(this.string());
      else {
        this.#skip();
        isPure = false;
      }
    }
    return isPure ? strings : null;
  }

  /** Past one value. */
  #skip(): void {
    let depth = 0;
    do {
      if (this.#isAtString()) this.string();
      else if (this.isAt(INTEGER)) this.#integer();
      else depth += this.#bytes[this.#at++] === END ? -1 : 1;
    } while (depth > 0);
  }
}

function bad(what: string): HaulError {
  return new HaulError('BAD_TORRENT', `bad torrent: its 'file tree' cannot be read: ${what}`);
}
