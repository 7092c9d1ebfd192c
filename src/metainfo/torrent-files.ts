/** The file list of an info dictionary (BEP 3; attributes, padding and symlinks of BEP 47). */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import type { BencodeDictionary, BencodeValue } from './bencode.js';
import type { FileEntry } from './metainfo.js';
import { decodeUtf8, type PathRules, PathTable } from './paths.js';

/**
 * Files in order with their torrent offsets. Paths begin with `name`, the safe name of the torrent.
 * @throws HaulError BAD_TORRENT, LIMIT
 */
export function readFiles(info: BencodeDictionary, name: string, rules: PathRules): FileEntry[] {
  const list = info.get('files');
  if (list === undefined) return [readSingle(info, name)];
  if (!Array.isArray(list)) throw new HaulError('BAD_TORRENT', "bad torrent: 'files' is not a list");
  if (list.length > LIMITS.fileCount) {
    throw new HaulError('LIMIT', `torrent beyond a limit: ${list.length} files, more than ${LIMITS.fileCount}`);
  }
  const table = new PathTable(rules);
  const links = new Map<number, Uint8Array[]>();
  const files: FileEntry[] = [];
  let beginBytes = 0;
  for (const [index, value] of list.entries()) {
    if (!(value instanceof Map)) throw bad(index, 'it is not a dictionary');
    const flags = readFlags(value);
    const raw = readPath(value, 'path', index);
    const lengthBytes = flags.isLink ? 0 : checkLength(value.get('length'), beginBytes, index);
    if (flags.isLink) links.set(index, readPath(value, 'symlink path', index));
    files.push({
      path: [name, ...(flags.isPad ? table.padPath(raw) : table.addFile(raw))],
      lengthBytes,
      beginBytes,
      isPad: flags.isPad,
      isExecutable: flags.isExecutable,
      isHidden: flags.isHidden,
      symlinkPath: null,
    });
    beginBytes += lengthBytes;
  }
  // Last, so that targets follow the renames of files that come later in the list.
  for (const [index, raw] of links) files[index] = { ...files[index]!, symlinkPath: table.linkTarget(raw) };
  return files;
}

function readSingle(info: BencodeDictionary, name: string): FileEntry {
  const { isExecutable, isHidden, isLink } = readFlags(info);
  if (isLink) throw new HaulError('BAD_TORRENT', 'bad torrent: it holds nothing but a symbolic link');
  const lengthBytes = checkLength(info.get('length'), 0, 0);
  return { path: [name], lengthBytes, beginBytes: 0, isPad: false, isExecutable, isHidden, symlinkPath: null };
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

/** `path.utf-8` is honoured when all of it is UTF-8. */
function readPath(entry: BencodeDictionary, key: string, index: number): Uint8Array[] {
  const preferred = asByteStrings(entry.get(`${key}.utf-8`));
  if (preferred?.every((component) => decodeUtf8(component) !== null) && preferred.length > 0) return preferred;
  const path = asByteStrings(entry.get(key));
  if (path === null) throw bad(index, `'${key}' is missing or not a list of strings`);
  return path;
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

function bad(index: number, what: string): HaulError {
  return new HaulError('BAD_TORRENT', `bad torrent: file ${index + 1}: ${what}`, { file: index });
}
