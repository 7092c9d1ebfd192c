/**
 * Keys of the Actions cache as names of artifacts: `artifacts/actions-cache/<version>/<key>`. Pure. Whatever a key
 * begins with, its name begins with, so that keys are found by their beginning in the order of the catalogue.
 */
import { HaulError } from '../../errors.js';

/** As GitHub has it. */
const KEY_CHARACTERS_MAX = 512;
const VERSION_CHARACTERS_MAX = 128;
/** Of a key as part of a name: with the version it stays below what names may have. */
const ENCODED_MAX = 820;
/** Parts of a name are shorter than names of files may be. */
const PART_CHARACTERS = 200;

const SAFE = /^[A-Za-z0-9_-]$/;

export const CACHE_PREFIX = 'artifacts/actions-cache/';

export interface CacheKey {
  readonly key: string;
  /** What the paths and the compression make: entries of other versions are never found. */
  readonly version: string;
}

/** Bytes of UTF-8, each by itself: letters, digits, "_" and "-" as they are, others as "~2F". */
function encode(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    encoded += SAFE.test(character) ? character : `~${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Where a key is cut into parts depends on the characters before the cut alone. */
function inParts(encoded: string): string {
  const parts: string[] = [];
  for (let at = 0; at < encoded.length; at += PART_CHARACTERS) parts.push(encoded.slice(at, at + PART_CHARACTERS));
  return parts.join('/');
}

/** The folder of a version, with its slash. @throws HaulError BAD_ARGUMENT */
function versionFolder(version: string): string {
  const encoded = encode(version);
  if (version === '' || encoded.length > VERSION_CHARACTERS_MAX || /\p{Surrogate}/u.test(version))
    throw new HaulError('BAD_ARGUMENT', `a version has 1 to ${VERSION_CHARACTERS_MAX} plain characters`);
  return `${CACHE_PREFIX}${encoded}/`;
}

function encodedKey(key: string): string {
  if (key === '' || key.length > KEY_CHARACTERS_MAX || /\p{Surrogate}/u.test(key))
    throw new HaulError('BAD_ARGUMENT', `a key has 1 to ${KEY_CHARACTERS_MAX} characters`);
  if (key.includes(',')) throw new HaulError('BAD_ARGUMENT', 'a key has no comma in it');
  const encoded = encode(key);
  if (encoded.length > ENCODED_MAX)
    throw new HaulError('BAD_ARGUMENT', 'the key has too many characters that are no letters and digits');
  return inParts(encoded);
}

/** The full name of an entry. @throws HaulError BAD_ARGUMENT */
export function entryName({ key, version }: CacheKey): string {
  return `${versionFolder(version)}${encodedKey(key)}`;
}

/** What names of all entries begin with whose keys begin so. @throws HaulError BAD_ARGUMENT */
export function entryPrefix({ key, version }: CacheKey): string {
  return entryName({ key, version });
}

/** The key of a name that `entryName` made; null: it is none. */
export function keyOf(name: string): string | null {
  const [space, folder, version, ...parts] = name.split('/');
  if (`${space}/${folder}/` !== CACHE_PREFIX || version === undefined || parts.length === 0) return null;
  const bytes: number[] = [];
  for (const [character, hex, plain] of parts.join('').matchAll(/~([0-9A-F]{2})|([A-Za-z0-9_-])|./gsu)) {
    if (hex === undefined && plain === undefined) return null;
    bytes.push(hex === undefined ? character.charCodeAt(0) : Number.parseInt(hex, 16));
  }
  return Buffer.from(bytes).toString('utf8');
}
