/**
 * Reads a .torrent (BEP 3, with 12, 19, 27 and 47; hybrid torrents of BEP 52 are read as version 1).
 * What makes the data ambiguous or unsafe is refused; what is only odd is mended, and gives a warning.
 * The info dictionary is never encoded again: its hash and its bytes are the original ones.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import { type BencodeDictionary, type BencodeValue, decodeScanned, scan } from './bencode.js';
import { Geometry } from './geometry.js';
import { checkHalves, isHybrid } from './hybrid.js';
import { infoHashOf } from './info-hash.js';
import type { FileEntry, Metainfo } from './metainfo.js';
import { decodeUtf8, type PathRules, safeName, showName, type Warn, warnOfName } from './paths.js';
import { isStateName } from './state-names.js';
import { listFiles, placeFiles, placeSingle } from './torrent-files.js';
import { isTrackerUrl, isWebSeedUrl } from './urls.js';

export { encodeTorrent, type TorrentFields, withTrackers } from './torrent-write.js';

/** Options of `parseTorrent`. */
export interface ParseOptions {
  /** System whose names the paths must suit, a value of `process.platform`; default: this one. */
  readonly platform?: string;
}

const DIGEST_BYTES = 20;
/** More than anyone announces to; bounds the work of a hostile list. */
const TRACKER_COUNT = 1000;
const WEB_SEED_COUNT = 1000;
/** Warnings kept; a torrent can be odd in a million places. */
const WARNING_COUNT = 100;
/** Characters of comment and the like that are kept. */
const TEXT_CHARACTERS = 64 * 1024;

/**
 * @throws HaulError BAD_BENCODE (with the byte), BAD_TORRENT (with what is wrong), LIMIT (named limit of config.ts)
 */
export function parseTorrent(bytes: Uint8Array, options: ParseOptions = {}): Metainfo {
  if (bytes.length > LIMITS.torrentFileBytes) {
    throw limit(`the .torrent has ${bytes.length} bytes, more than ${LIMITS.torrentFileBytes}`);
  }
  const scanned = scan(bytes, { requireSortedKeys: false, allowBytesAfter: true });
  const top = decodeScanned(bytes, scanned);
  if (!(top instanceof Map)) throw bad('it is not a dictionary');
  const info = top.get('info');
  const span = scanned.span('info');
  if (span === null || !(info instanceof Map)) throw bad("it has no 'info' dictionary");

  const warnings = new Warnings();
  const after = bytes.length - scanned.end;
  if (after > 0) warnings.add(() => `it has bytes after its end, which are ignored: ${after}`);
  if (scanned.unsortedAt >= 0)
    warnings.add(() => `dictionary keys are out of order, first at byte ${scanned.unsortedAt}`);
  const warn: Warn = (line) => warnings.add(line);
  // Of its own, with its hash: a part of a larger buffer would keep all of that.
  const infoLength = span[1] - span[0];
  const own = Buffer.allocUnsafeSlow(infoLength + DIGEST_BYTES);
  const infoBytes = own.subarray(0, infoLength);
  infoBytes.set(bytes.subarray(span[0], span[1]));
  const infoHash = own.subarray(infoLength);
  infoHash.set(infoHashOf(infoBytes));
  const part = readInfo(info, infoBytes, { platform: options.platform ?? process.platform, warn });
  // One by one: after a spread each would have a shape of its own, of half a KiB.
  return {
    name: part.name,
    geometry: part.geometry,
    pieceHashes: part.pieceHashes,
    files: part.files,
    isMultiFile: part.isMultiFile,
    isPrivate: part.isPrivate,
    infoHash,
    infoHashHex: infoHash.toString('hex'),
    infoBytes,
    trackers: readTrackers(top, warn),
    webSeeds: readWebSeeds(top, warn),
    comment: readText(top, 'comment'),
    createdBy: readText(top, 'created by'),
    creationDate: readDate(top, warn),
    warnings: warnings.lines(),
  };
}

class Warnings {
  readonly #lines: string[] = [];
  #more = 0;

  add(line: () => string): void {
    if (this.#lines.length < WARNING_COUNT) this.#lines.push(line());
    else this.#more++;
  }

  lines(): string[] {
    return this.#more === 0 ? this.#lines : [...this.#lines, `and ${this.#more} more warnings`];
  }
}

type InfoPart = Pick<Metainfo, 'name' | 'geometry' | 'pieceHashes' | 'files' | 'isMultiFile' | 'isPrivate'>;

function readInfo(info: BencodeDictionary, infoBytes: Buffer, rules: PathRules): InfoPart {
  refuseVersion2(info);
  const rawName = readName(info);
  const name = nameFolder(rawName, rules);
  const pieceLengthBytes = readPieceLength(info);
  const isMultiFile = info.has('files');
  if (isMultiFile && info.has('length')) throw bad("it has both 'length' and 'files'");
  const listed = listFiles(info);
  if (isHybrid(info)) checkHalves(infoBytes, rawName, listed, pieceLengthBytes);
  const files = isMultiFile ? placeFiles(listed, name, rules) : [placeSingle(listed[0]!, name)];
  const geometry = new Geometry(totalLength(files), pieceLengthBytes);
  return {
    name,
    geometry,
    pieceHashes: within(infoBytes, readPieces(info, geometry)),
    files,
    isMultiFile,
    isPrivate: info.get('private') === 1,
  };
}

/** BEP 52: version 2 alone has no `pieces`; a hybrid has both. */
function refuseVersion2(info: BencodeDictionary): void {
  if (info.has('pieces')) return;
  const isVersion2 = info.has('file tree') || info.get('meta version') === 2;
  throw bad(isVersion2 ? 'v2-only torrents are not supported yet' : "'pieces' is missing");
}

function readName(info: BencodeDictionary): Uint8Array {
  const preferred = info.get('name.utf-8');
  const usable = preferred instanceof Uint8Array && preferred.length > 0 && decodeUtf8(preferred) !== null;
  const raw = usable ? preferred : info.get('name');
  if (!(raw instanceof Uint8Array)) throw bad("'name' is missing or not a string");
  return raw;
}

/** The name of the file or folder in the output folder. */
function nameFolder(raw: Uint8Array, rules: PathRules): string {
  const wanted = safeName(raw, rules.platform);
  const { name } = wanted;
  warnOfName(wanted, name, rules.warn);
  if (isStateName(name))
    throw bad(`it is named ${showName(name)}, like a file that this program keeps beside its data`);
  return name;
}

function readPieceLength(info: BencodeDictionary): number {
  const value = info.get('piece length');
  if (typeof value !== 'number' || value <= 0) throw bad("'piece length' is missing or not a positive integer");
  if (value > LIMITS.pieceLengthBytes) {
    throw limit(`the piece length is ${value} bytes, more than ${LIMITS.pieceLengthBytes}`);
  }
  return value;
}

function totalLength(files: readonly FileEntry[]): number {
  const last = files.at(-1);
  const total = last === undefined ? 0 : last.beginBytes + last.lengthBytes;
  if (total === 0) throw bad('all its files are empty; there is nothing to transfer');
  return total;
}

function readPieces(info: BencodeDictionary, geometry: Geometry): Buffer {
  const pieces = info.get('pieces');
  if (!(pieces instanceof Uint8Array)) throw bad("'pieces' is not a string");
  if (pieces.length % DIGEST_BYTES !== 0) throw bad(`'pieces' has ${pieces.length} bytes, not a multiple of 20`);
  const { pieceCount, lengthBytes, pieceLengthBytes } = geometry;
  if (pieceCount > LIMITS.pieceCount) throw limit(`it has ${pieceCount} pieces, more than ${LIMITS.pieceCount}`);
  const found = pieces.length / DIGEST_BYTES;
  if (found !== pieceCount) {
    const facts = { found, expected: pieceCount };
    const why = `${lengthBytes} bytes in pieces of ${pieceLengthBytes}`;
    throw new HaulError(
      'BAD_TORRENT',
      `bad torrent: ${found} piece hashes where ${pieceCount} are needed (${why})`,
      facts,
    );
  }
  return Buffer.from(pieces.buffer, pieces.byteOffset, pieces.byteLength);
}

/** The same bytes as a part of the info dictionary, where they are found: 20 bytes a piece need not be kept twice. */
function within(infoBytes: Buffer, pieces: Buffer): Buffer {
  const head = `6:pieces${pieces.length}:`;
  const begin = infoBytes.indexOf(head) + head.length;
  const found = infoBytes.subarray(begin, begin + pieces.length);
  return found.equals(pieces) ? found : pieces;
}

/** BEP 12: when there is an `announce-list`, `announce` is ignored. */
function readTrackers(top: BencodeDictionary, warn: Warn): string[][] {
  const tiers: string[][] = [];
  let count = 0;
  const list = top.get('announce-list');
  if (list !== undefined && !Array.isArray(list)) warn(() => "'announce-list' is not a list and is ignored");
  for (const tier of Array.isArray(list) ? list : []) {
    if (!Array.isArray(tier)) {
      warn(() => "a tier of 'announce-list' is not a list and is ignored");
      continue;
    }
    const urls = readUrls(tier, isTrackerUrl, TRACKER_COUNT - count, 'tracker', warn);
    count += urls.length;
    if (urls.length > 0) tiers.push(urls);
  }
  if (tiers.length > 0) return tiers;
  const announce = top.get('announce');
  const urls = announce === undefined ? [] : readUrls([announce], isTrackerUrl, 1, 'tracker', warn);
  return urls.length > 0 ? [urls] : [];
}

/** BEP 19: one URL or a list. */
function readWebSeeds(top: BencodeDictionary, warn: Warn): string[] {
  const value = top.get('url-list');
  if (value === undefined) return [];
  return readUrls(Array.isArray(value) ? value : [value], isWebSeedUrl, WEB_SEED_COUNT, 'web seed', warn);
}

type UrlCheck = (url: string) => boolean;

function readUrls(
  values: readonly BencodeValue[],
  isUsable: UrlCheck,
  max: number,
  what: string,
  warn: Warn,
): string[] {
  const urls = new Set<string>();
  for (const value of values) {
    // Writers leave empty strings where there is no URL: not worth a warning.
    if (value instanceof Uint8Array && value.length === 0) continue;
    const url = value instanceof Uint8Array ? decodeUtf8(value)?.trim() : undefined;
    if (url === undefined || !isUsable(url)) warn(() => `a ${what} is ignored: not a URL this program can use`);
    else if (urls.size < max || urls.has(url)) urls.add(url);
    else {
      warn(() => `more than ${max} of kind ${what}; the rest is ignored`);
      break;
    }
  }
  return [...urls];
}

function readText(top: BencodeDictionary, key: string): string | null {
  const preferred = top.get(`${key}.utf-8`);
  const raw = preferred instanceof Uint8Array ? preferred : top.get(key);
  if (!(raw instanceof Uint8Array)) return null;
  // Line ends and tabs stay; other control characters could drive a terminal.
  const text = Buffer.from(raw.buffer, raw.byteOffset, Math.min(raw.byteLength, TEXT_CHARACTERS)).toString();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '\uFFFD');
}

function readDate(top: BencodeDictionary, warn: Warn): number | null {
  const value = top.get('creation date');
  if (value === undefined) return null;
  if (typeof value === 'number' && value >= 0) return value;
  warn(() => "'creation date' is not a date and is ignored");
  return null;
}

function bad(what: string): HaulError {
  return new HaulError('BAD_TORRENT', `bad torrent: ${what}`);
}

function limit(what: string): HaulError {
  return new HaulError('LIMIT', `torrent beyond a limit: ${what}`);
}
