/**
 * What a request asks for: path and query of its target (RFC 9112, 3.2), decoded once, strictly. Pure. A name that two
 * readers could take for two things (an encoded slash, bytes that are not UTF-8) is refused, never guessed.
 */
import { decodeUtf8, showName } from '../../metainfo/paths.js';

export interface Target {
  /** Decoded parts of the path. */
  readonly segments: readonly string[];
  /** It ends with a slash. */
  readonly isFolder: boolean;
  /** The query as it came: values of an announce are bytes, `parseQuery` reads the others. */
  readonly rawQuery: string;
  /** Of an absolute-form target ("http://host:port/…"): it replaces the Host header. */
  readonly authority: string | null;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)([^#]*)$/i;
const QUERY_KEYS_MAX = 32;

/** The target, or what is wrong with it. @param raw as Node gives it: a character for each byte */
export function parseTarget(raw: string): Target | string {
  const absolute = ABSOLUTE.exec(raw);
  const authority = absolute === null ? null : absolute[1]!;
  let rest = absolute === null ? raw : absolute[2]!;
  if (authority !== null && !rest.startsWith('/')) rest = `/${rest}`;
  if (!rest.startsWith('/')) return 'the target of a request is a path that begins with a slash';
  if (rest.includes('#')) return 'the target of a request has no #; in a name it is %23';
  const mark = rest.indexOf('?');
  const path = mark < 0 ? rest : rest.slice(0, mark);
  const rawQuery = mark < 0 ? '' : rest.slice(mark + 1);
  const parts = path.slice(1).split('/');
  const isFolder = parts.at(-1) === '';
  if (isFolder) parts.pop();
  const segments: string[] = [];
  for (const part of parts) {
    const text = decodePart(part);
    if (text === null) return `the part ${showName(part)} of the path is not UTF-8 in percent-encoding`;
    if (text.includes('/')) return `the part ${showName(part)} of the path has a slash in it (%2F): no name has one`;
    segments.push(text);
  }
  return { segments, isFolder, rawQuery, authority };
}

const EMPTY: ReadonlyMap<string, string> = new Map();

/** The keys of a query, each once, or what is wrong with it. A key without "=" has the value ''. */
export function parseQuery(raw: string): ReadonlyMap<string, string> | string {
  if (raw === '') return EMPTY;
  const pairs = raw.split('&').filter((pair) => pair !== '');
  if (pairs.length > QUERY_KEYS_MAX) return `the query has more than ${QUERY_KEYS_MAX} parameters`;
  const query = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const key = decodePart((equals < 0 ? pair : pair.slice(0, equals)).replaceAll('+', ' '));
    const value = decodePart((equals < 0 ? '' : pair.slice(equals + 1)).replaceAll('+', ' '));
    if (key === null || value === null) return `the query holds ${showName(pair)}: not UTF-8 in percent-encoding`;
    if (query.has(key)) return `the query has ${showName(key)} twice`;
    query.set(key, value);
  }
  return query;
}

const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/** Null: an escape is broken, or what comes out is not UTF-8. */
function decodePart(part: string): string | null {
  if (BAD_ESCAPE.test(part)) return null;
  const bytes = part.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return decodeUtf8(Buffer.from(bytes, 'latin1'));
}

/** Nothing of it changes in a URL, nor in JSON: what most paths are. */
const PLAIN_PATH = /^[A-Za-z0-9_.~/-]*$/;

export function isPlainPath(path: string): boolean {
  return PLAIN_PATH.test(path);
}

/** A path of ours for a URL: the parts encoded one by one, so that it needs no quotes in a shell. */
export function encodePath(path: string): string {
  if (isPlainPath(path)) return path;
  const encode = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return path
    .split('/')
    .map((part) => encodeURIComponent(part).replace(/[!'()*]/g, encode))
    .join('/');
}
