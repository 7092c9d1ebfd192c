/**
 * Safe names from torrents, one path component at a time; `path-table.ts` has the rule for whole paths. What could
 * leave the output folder, or deceive, is refused. What this system cannot store, or what another would take apart, is
 * renamed. What only another system cannot store keeps its name here, so that a folder shared from this machine is
 * found again under its own names (the Linux kernel has `aux.c`, and names that differ only in case), and is renamed
 * there.
 * Every rename and every doubtful name gives a warning.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';

/** Takes a warning, to be worded only when it is kept: hostile torrents are odd in a million places. */
export type Warn = (line: () => string) => void;

export interface PathRules {
  /** `process.platform` of the system that will hold the files: 'win32' and 'darwin' are stricter than the rest. */
  readonly platform: string;
  readonly warn: Warn;
}

/** What is not UTF-8 becomes U+FFFD. */
const looseUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
const ASCII = /^[ -~]*$/;
const DRIVE = /^[A-Za-z]:/;
/** `..\x`, `a\..`, `\x`: with backslashes as separators these climb out, or begin at a root. */
const LEAVES_BY_BACKSLASH = /^\\|(?:^|\\)\.\.(?:\\|$)/;
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
  const text = looseUtf8.decode(bytes);
  // U+FFFD may stand in a name. A decoder that throws would cost fifty times as much for each name that is not UTF-8.
  return text.includes('\uFFFD') && !Buffer.from(text).equals(bytes) ? null : text;
}

/**
 * Why a path component may not be in a torrent of ours, or null when it may: what we share must read back under its own
 * name.
 */
export function whyUnsafe(name: string): string | null {
  return whyRefused(name) ?? (name.includes('\\') ? 'holds a backslash' : null);
}

/** Why a path component can never be stored, not under another name either, or null when it can. */
function whyRefused(name: string): string | null {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return 'leads to another folder';
  if (name.includes('/')) return 'holds a slash';
  if (CONTROL.test(name)) return 'holds a control character';
  if (DRIVE.test(name)) return 'begins with a drive letter';
  // Renamed it would be harmless, but nobody names a file so without meaning another folder.
  if (LEAVES_BY_BACKSLASH.test(name)) return 'leads to another folder where a backslash parts names';
  return null;
}

/** `parted`: a backslash in it would part it elsewhere; `unnamed`: there was nothing to go by. */
export type NameChange = 'not UTF-8' | 'parted' | 'not storable' | 'unnamed';

/** A component of a torrent's path, before and after. */
export interface SafeName {
  /** Fit for this system; not yet told apart from its neighbours. */
  readonly name: string;
  /** As the torrent has it, for people: bytes that are not UTF-8 are U+FFFD. */
  readonly original: string;
  /** Why `name` is not `original`; null when they are equal. */
  readonly change: NameChange | null;
  /** It is kept, but could not be on Windows. */
  readonly isTroubleElsewhere: boolean;
}

/**
 * One path component from a torrent as a name this system can store.
 * @param platform `process.platform` of the system that will hold the file
 * @throws HaulError BAD_TORRENT
 */
export function safeName(raw: Uint8Array, platform: string): SafeName {
  const valid = decodeUtf8(raw);
  const original = valid ?? looseUtf8.decode(raw);
  // One '_' for each run of bytes that is not UTF-8, so that the name stays readable.
  const text = valid ?? original.replace(/\uFFFD+/g, '_');
  const reason = whyRefused(text);
  if (reason !== null) throw new HaulError('BAD_TORRENT', `unsafe path: the name ${showName(text)} ${reason}`);
  const isParted = text.includes('\\');
  const whole = isParted ? text.replaceAll('\\', '_') : text;
  const elsewhere = forWindows(whole);
  const isWindows = platform === 'win32';
  const kept = cutName(isWindows ? elsewhere : whole);
  // Cutting may leave a dot or a space at the end again; replacing it changes no length.
  const name = isWindows ? kept.replace(TRAILING, (run) => '_'.repeat(run.length)) : kept;
  let change: NameChange | null = null;
  if (valid === null) change = 'not UTF-8';
  else if (isParted) change = 'parted';
  else if (name !== original) change = 'not storable';
  return { name, original, change, isTroubleElsewhere: elsewhere !== name };
}

/** Tells the user what became of a name. @param name the one it has in the end */
export function warnOfName({ original, change, isTroubleElsewhere }: SafeName, name: string, warn: Warn): void {
  if (change !== null) warn(() => `renamed to ${showName(name)}: ${whyRenamed(original, change)}`);
  else if (isTroubleElsewhere) warn(() => `the name ${showName(original)} cannot be used on Windows`);
}

export function whyRenamed(original: string, change: NameChange): string {
  if (change === 'not UTF-8') return 'a name that is not UTF-8';
  if (change === 'unnamed') return 'a path without a name';
  return change === 'parted' ? `${showName(original)} holds a backslash` : showName(original);
}

function forWindows(name: string): string {
  const plain = name.replace(WINDOWS_FORBIDDEN, '_').replace(TRAILING, (run) => '_'.repeat(run.length));
  return WINDOWS_DEVICE.test(plain) ? `_${plain}` : plain;
}

/** Cut between code points to what a file system takes, the extension kept. */
function cutName(name: string): string {
  if (Buffer.byteLength(name) <= LIMITS.pathNameBytes) return name;
  const [stem, extension] = splitName(name, 0);
  return stem + extension;
}

/**
 * Stem and extension, the stem cut between code points so that both and `reservedBytes` make a name that can be stored.
 */
export function splitName(name: string, reservedBytes: number): [stem: string, extension: string] {
  const dot = name.lastIndexOf('.');
  const hasExtension = dot > 0 && Buffer.byteLength(name.slice(dot)) <= EXTENSION_BYTES;
  const extension = hasExtension ? name.slice(dot) : '';
  const whole = hasExtension ? name.slice(0, dot) : name;
  let left = LIMITS.pathNameBytes - reservedBytes - Buffer.byteLength(extension);
  if (Buffer.byteLength(whole) <= left) return [whole, extension];
  if (ASCII.test(whole)) return [whole.slice(0, left), extension];
  let stem = '';
  for (const character of whole) {
    left -= Buffer.byteLength(character);
    if (left < 0) break;
    stem += character;
  }
  return [stem, extension];
}

/** What names are equal on file systems that ignore case and Unicode form. */
export function foldName(name: string): string {
  return (ASCII.test(name) ? name : name.normalize('NFC')).toLowerCase();
}

/** The bytes of a name as a key: one character each. */
export function latin1(bytes: Uint8Array): string {
  return shortAscii(bytes) ?? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** A name for people: bytes that are not UTF-8 are U+FFFD. */
export function readableName(bytes: Uint8Array): string {
  return shortAscii(bytes) ?? looseUtf8.decode(bytes);
}
