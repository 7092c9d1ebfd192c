/**
 * The file list of an info dictionary (BEP 3; attributes, padding and symlinks of BEP 47), and its entries with safe
 * paths.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import type { BencodeDictionary, BencodeValue } from './bencode.js';
import type { FileEntry } from './metainfo.js';
import { PathTable, readablePath } from './path-table.js';
import { decodeUtf8, type PathRules } from './paths.js';

/** A file as the torrent lists it. */
export interface ListedFile {
  /**
   * Components below the torrent's name; null only for padding that gives none. Empty for the file of a single-file
   * torrent.
   */
  readonly rawPath: readonly Uint8Array[] | null;
  readonly lengthBytes: number;
  /** Torrent offset of the first byte. */
  readonly beginBytes: number;
  readonly isPad: boolean;
  readonly isExecutable: boolean;
  readonly isHidden: boolean;
  /** Symlink target, components below the torrent's name, or null. */
  readonly rawTarget: readonly Uint8Array[] | null;
}

/**
 * Files in order with their torrent offsets: what places bytes, before any path is mended.
 * @throws HaulError BAD_TORRENT, LIMIT
 */
export function listFiles(info: BencodeDictionary): ListedFile[] {
  const list = info.get('files');
  if (list === undefined) return [listSingle(info)];
  if (!Array.isArray(list)) throw new HaulError('BAD_TORRENT', "bad torrent: 'files' is not a list");
  if (list.length > LIMITS.fileCount) {
    throw new HaulError('LIMIT', `torrent beyond a limit: ${list.length} files, more than ${LIMITS.fileCount}`);
  }
  let beginBytes = 0;
  return list.map((value, index) => {
    if (!(value instanceof Map)) throw bad(index, 'it is not a dictionary');
    const { isPad, isExecutable, isHidden, isLink } = readFlags(value);
    const rawPath = readPath(value, 'path');
    if (rawPath === null && !isPad) throw notAPath(index, 'path');
    const rawTarget = isLink ? readPath(value, 'symlink path') : null;
    if (isLink && rawTarget === null) throw notAPath(index, 'symlink path');
    const lengthBytes = isLink ? 0 : checkLength(value.get('length'), beginBytes, index);
    const file = { rawPath, lengthBytes, beginBytes, isPad, isExecutable, isHidden, rawTarget };
    beginBytes += lengthBytes;
    return file;
  });
}

/**
 * The entries of the files of a torrent of many files, under the paths they are stored at, which begin with `name`.
 * @param name the safe name of the torrent
 * @throws HaulError BAD_TORRENT
 */
export function placeFiles(listed: readonly ListedFile[], name: string, rules: PathRules): FileEntry[] {
  const table = new PathTable(rules);
  const nodes = listed.map((file, index) => (file.isPad ? null : table.addFile(file.rawPath!, index)));
  table.settle();
  return listed.map((file, index) => {
    const { lengthBytes, beginBytes, isPad, isExecutable, isHidden, rawTarget } = file;
    const node = nodes[index]!;
    const path = [name, ...(node === null ? table.padPath(file.rawPath, lengthBytes) : table.pathOf(node))];
    const symlinkPath = rawTarget === null ? null : table.linkTarget(rawTarget);
    const entry = { path, lengthBytes, beginBytes, isPad, isExecutable, isHidden, symlinkPath };
    if (node === null || !table.isMended(node)) return entry;
    return { ...entry, pathInTorrent: readablePath(file.rawPath!) };
  });
}

/** The entry of the only file of a torrent without a list. */
export function placeSingle(file: ListedFile, name: string): FileEntry {
  const { lengthBytes, isExecutable, isHidden } = file;
  return { path: [name], lengthBytes, beginBytes: 0, isPad: false, isExecutable, isHidden, symlinkPath: null };
}

function listSingle(info: BencodeDictionary): ListedFile {
  const { isExecutable, isHidden, isLink } = readFlags(info);
  if (isLink) throw new HaulError('BAD_TORRENT', 'bad torrent: it holds nothing but a symbolic link');
  const lengthBytes = checkLength(info.get('length'), 0, 0);
  return { rawPath: [], lengthBytes, beginBytes: 0, isPad: false, isExecutable, isHidden, rawTarget: null };
}

interface Flags {
  readonly isPad: boolean;
  readonly isExecutable: boolean;
  readonly isHidden: boolean;
  readonly isLink: boolean;
}

/** BEP 47 `attr`: letters in any order; unknown ones are ignored. Padding is never a link. */
function readFlags(entry: BencodeDictionary): Flags {
  const raw = entry.get('attr');
  const has = (letter: string) => raw instanceof Uint8Array && raw.includes(letter.charCodeAt(0));
  const isPad = has('p');
  return { isPad, isExecutable: has('x'), isHidden: has('h'), isLink: !isPad && has('l') };
}

function checkLength(value: BencodeValue | undefined, beginBytes: number, index: number): number {
  if (typeof value !== 'number' || value < 0) throw bad(index, "'length' is missing or not a whole number");
  if (beginBytes + value > LIMITS.torrentLengthBytes) {
    throw new HaulError('LIMIT', `torrent beyond a limit: more than ${LIMITS.torrentLengthBytes} bytes of data`);
  }
  return value;
}

/** `path.utf-8` is honoured when all of it is UTF-8. Null: there is no list of strings. */
function readPath(entry: BencodeDictionary, key: string): Uint8Array[] | null {
  const preferred = asByteStrings(entry.get(`${key}.utf-8`));
  if (preferred?.every((component) => decodeUtf8(component) !== null) && preferred.length > 0) return preferred;
  return asByteStrings(entry.get(key));
}

function asByteStrings(value: BencodeValue | undefined): Uint8Array[] | null {
  if (!Array.isArray(value)) return null;
  const strings: Uint8Array[] = [];
  for (const item of value) {
    if (!(item instanceof Uint8Array)) return null;
    strings.push(item);
  }
  return strings;
}

function notAPath(index: number, key: string): HaulError {
  return bad(index, `'${key}' is missing or not a list of strings`);
}

function bad(index: number, what: string): HaulError {
  return new HaulError('BAD_TORRENT', `bad torrent: file ${index + 1}: ${what}`, { file: index });
}
