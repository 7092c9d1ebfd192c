/**
 * Safe paths from torrents. What could leave the output folder, or deceive, is refused. What this system cannot store is
 * renamed. What only another system cannot store keeps its name here, so that a folder shared from this machine is found
 * again under its own names (the Linux kernel has `aux.c`, and names that differ only in case), and is renamed there.
 * Every rename and every doubtful name gives a warning.
 *
 * Invariant: two different files of one torrent never get one path, and no file gets the path of a folder.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';

export type Warn = (line: string) => void;

export interface PathRules {
  /** `process.platform` of the system that will hold the files: 'win32' and 'darwin' are stricter than the rest. */
  readonly platform: string;
  readonly warn: Warn;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const looseUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
const ASCII = /^[ -~]*$/;
const DRIVE = /^[A-Za-z]:/;
const WINDOWS_DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])[ ]*(\.|:|$)/i;
const WINDOWS_FORBIDDEN = /[<>:"|?*]/g;
const TRAILING = /[. ]+$/;
/** An extension longer than this is part of the name, and may be cut. */
const EXTENSION_BYTES = 32;
/** How much of a hostile name a message repeats. */
const SHOWN_CHARACTERS = 80;
const LOOPED_BYTES = 64;

/** A name for a message: quoted, one line, shortened. */
export function showName(name: string): string {
  const short = name.length > SHOWN_CHARACTERS ? `${name.slice(0, SHOWN_CHARACTERS)}…` : name;
  return JSON.stringify(short).replace(
    /[\x7f-\x9f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Names are mostly short and ASCII; asking Node.js for each costs ten times this loop. Null: long, or not ASCII. */
function shortAscii(bytes: Uint8Array): string | null {
  if (bytes.length > LOOPED_BYTES) return null;
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80) return null;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** The text of valid UTF-8, else null. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  const ascii = shortAscii(bytes);
  if (ascii !== null) return ascii;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}

/** Why a path component can never be stored, or null when it can. */
export function whyUnsafe(name: string): string | null {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return 'leads to another folder';
  if (name.includes('/')) return 'holds a slash';
  if (name.includes('\\')) return 'holds a backslash';
  if (CONTROL.test(name)) return 'holds a control character';
  if (DRIVE.test(name)) return 'begins with a drive letter';
  return null;
}

/**
 * One path component from a torrent as a name this system can store.
 * @throws HaulError BAD_TORRENT
 */
export function safeName(raw: Uint8Array, rules: PathRules): string {
  const valid = decodeUtf8(raw);
  // One '_' for each run of bytes that is not UTF-8, so that the name stays readable.
  const name = valid ?? looseUtf8.decode(raw).replace(/\uFFFD+/g, '_');
  const reason = whyUnsafe(name);
  if (reason !== null) throw new HaulError('BAD_TORRENT', `unsafe path: the name ${showName(name)} ${reason}`);
  const elsewhere = forWindows(name);
  const kept = fitName(rules.platform === 'win32' ? elsewhere : name, '');
  // Cutting may leave a dot or a space at the end again; replacing it changes no length.
  const safe = rules.platform === 'win32' ? kept.replace(TRAILING, (run) => '_'.repeat(run.length)) : kept;
  if (valid === null) rules.warn(`renamed to ${showName(safe)}: a name that is not UTF-8`);
  else if (safe !== name) rules.warn(`renamed to ${showName(safe)}: ${showName(name)}`);
  else if (elsewhere !== name) rules.warn(`the name ${showName(name)} cannot be used on Windows`);
  return safe;
}

function forWindows(name: string): string {
  const plain = name.replace(WINDOWS_FORBIDDEN, '_').replace(TRAILING, (run) => '_'.repeat(run.length));
  return WINDOWS_DEVICE.test(plain) ? `_${plain}` : plain;
}

/** Adds `suffix` before the extension and cuts the stem, between code points, to what a file system takes. */
function fitName(name: string, suffix: string): string {
  const limit = LIMITS.pathNameBytes;
  if (suffix === '' && Buffer.byteLength(name) <= limit) return name;
  const dot = name.lastIndexOf('.');
  const hasExtension = dot > 0 && Buffer.byteLength(name.slice(dot)) <= EXTENSION_BYTES;
  const tail = suffix + (hasExtension ? name.slice(dot) : '');
  let left = limit - Buffer.byteLength(tail);
  let stem = '';
  for (const character of hasExtension ? name.slice(0, dot) : name) {
    left -= Buffer.byteLength(character);
    if (left < 0) break;
    stem += character;
  }
  return stem + tail;
}

/** What names are equal on file systems that ignore case and Unicode form. */
function fold(name: string): string {
  return (ASCII.test(name) ? name : name.normalize('NFC')).toLowerCase();
}

class Folder {
  /** By the raw bytes of the name, as Latin-1. A null folder is a file. */
  readonly children = new Map<string, { readonly safe: string; readonly folder: Folder | null }>();
  /** Names that cannot be given again. */
  readonly taken = new Set<string>();
  /** Folded names, to warn where `taken` tells more apart than other systems do. */
  readonly folded = new Set<string>();
  readonly suffixes = new Map<string, number>();
}

/** All paths of one torrent, below its root folder. */
export class PathTable {
  readonly #rules: PathRules;
  readonly #ignoresCase: boolean;
  readonly #root = new Folder();

  constructor(rules: PathRules) {
    this.#rules = rules;
    this.#ignoresCase = rules.platform === 'win32' || rules.platform === 'darwin';
  }

  /**
   * Takes the path of the next file.
   * @throws HaulError BAD_TORRENT: unsafe, too deep, a path twice, or a file where a folder is.
   */
  addFile(raw: readonly Uint8Array[]): string[] {
    checkDepth(raw);
    const path: string[] = [];
    let folder = this.#root;
    for (const [index, component] of raw.entries()) {
      const isFile = index === raw.length - 1;
      const key = latin1(component);
      let child = folder.children.get(key);
      if (child === undefined) {
        child = { safe: this.#newName(folder, component), folder: isFile ? null : new Folder() };
        folder.children.set(key, child);
        path.push(child.safe);
      } else {
        path.push(child.safe);
        if (isFile && child.folder === null) throw conflict('the path occurs twice', path);
        if (isFile || child.folder === null) throw conflict('a file is in the way of a folder', path);
      }
      if (child.folder !== null) folder = child.folder;
    }
    return path;
  }

  /** Path of a file that is never stored (BEP 47 padding): safe, but it may repeat, as padding of equal length does. */
  padPath(raw: readonly Uint8Array[]): string[] {
    checkDepth(raw);
    return raw.map((component) => safeName(component, { ...this.#rules, warn: () => {} }));
  }

  /** A symlink target (BEP 47), relative to the root; follows the renames of the files added so far. */
  linkTarget(raw: readonly Uint8Array[]): string[] {
    checkDepth(raw);
    const path: string[] = [];
    let folder: Folder | null = this.#root;
    for (const component of raw) {
      const child: { safe: string; folder: Folder | null } | undefined = folder?.children.get(latin1(component));
      path.push(child?.safe ?? safeName(component, this.#rules));
      folder = child?.folder ?? null;
    }
    return path;
  }

  #newName(folder: Folder, raw: Uint8Array): string {
    const wanted = safeName(raw, this.#rules);
    const folded = fold(wanted);
    const key = this.#ignoresCase ? folded : wanted;
    if (!folder.taken.has(key)) {
      if (folder.folded.has(folded)) this.#rules.warn(`the name ${showName(wanted)} differs only in case from another`);
      folder.taken.add(key);
      folder.folded.add(folded);
      return wanted;
    }
    // The counter is kept per name: many names that collide cost one step each.
    let suffix = folder.suffixes.get(key) ?? 2;
    let name = fitName(wanted, ` (${suffix})`);
    while (folder.taken.has(this.#ignoresCase ? fold(name) : name)) name = fitName(wanted, ` (${++suffix})`);
    folder.suffixes.set(key, suffix + 1);
    folder.taken.add(this.#ignoresCase ? fold(name) : name);
    folder.folded.add(fold(name));
    this.#rules.warn(`renamed to ${showName(name)}: ${showName(wanted)} is taken`);
    return name;
  }
}

function checkDepth(raw: readonly Uint8Array[]): void {
  if (raw.length === 0) throw new HaulError('BAD_TORRENT', 'unsafe path: it has no components');
  if (raw.length > LIMITS.pathDepth) {
    throw new HaulError('BAD_TORRENT', `unsafe path: deeper than ${LIMITS.pathDepth} folders`, { depth: raw.length });
  }
}

function conflict(what: string, path: readonly string[]): HaulError {
  return new HaulError('BAD_TORRENT', `conflicting paths: ${what}: ${showName(path.join('/'))}`);
}

function latin1(bytes: Uint8Array): string {
  return shortAscii(bytes) ?? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
