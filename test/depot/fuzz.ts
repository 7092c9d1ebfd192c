/**
 * Fuzzing of all that a depot reads of a request: targets and queries, names, ranges, conditions, digests, tokens,
 * patterns, hosts, media types, and the bodies and links of the Actions cache, as they should be and changed at random.
 * Each is read or refused: no other exception, and what was read keeps its bounds and is said back in the same words.
 * `node dist/test/depot/fuzz.js SECONDS [SEED]` goes on for so long; a failure prints the round and the seed.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { blobInfo, blobTorrent } from '../../src/depot/blob-info.js';
import { entryName, keyOf } from '../../src/depot/doors/cache-names.js';
import {
  BLOCKS_MAX,
  blockIdOf,
  blockListOf,
  COMMIT_V1,
  CREATE_V2,
  contentRangeOf,
  FINALIZE_V2,
  LOOKUP_V2,
  RESERVE_V1,
  readJson,
} from '../../src/depot/doors/cache-requests.js';
import { Tickets } from '../../src/depot/doors/tickets.js';
import { etagOf, isMatch, isNoneMatch, rangeOf, reprDigest, statedSha256 } from '../../src/depot/http/conditions.js';
import { hostOf } from '../../src/depot/http/guard.js';
import { keptMediaType, safeHeaders } from '../../src/depot/http/media-type.js';
import { namePattern } from '../../src/depot/http/name-pattern.js';
import { Problem } from '../../src/depot/http/problems.js';
import { GET_QUERY, LIST_QUERY, PUT_QUERY } from '../../src/depot/http/schemas.js';
import { shownPath } from '../../src/depot/http/shown-path.js';
import { encodePath, parseQuery, parseTarget } from '../../src/depot/http/target.js';
import { prefixOf, tokensOfLines } from '../../src/depot/http/token-file.js';
import { grantOf, hashToken, secretOf, TokenTable } from '../../src/depot/http/tokens.js';
import { fullName, type Space } from '../../src/depot/names.js';
import { ownTorrent } from '../../src/depot/p2p/own-torrent.js';
import { HaulError } from '../../src/errors.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { Dice, type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';

const HEX64 = /^[0-9a-f]{64}$/;
const LENGTH = 1000;
const SECRET = 'haul_0123456789abcdefghij';
const SHA256 = createHash('sha256').update('x').digest('hex');
const BASE64 = Buffer.from(SHA256, 'hex').toString('base64');
const TABLE = new TokenTable(tokensOfLines(`${SECRET} read,write ci/`, 0));
const NOW_MS = 1_800_000_000_000;
const TICKETS = new Tickets(() => NOW_MS);

const OWN_TORRENT = blobTorrent(
  'x',
  { lengthBytes: 300_000, pieces: Buffer.alloc(40, 7), pieceLengthBytes: 262_144 },
  'http://a/announce',
  null,
).toString('latin1');

const TARGETS = [
  '/artifacts/ci/42/im%20age.raw?torrent',
  `/cas/${SHA256}`,
  `/ac/${SHA256}`,
  `/blobs/${'a'.repeat(40)}/x`,
  '/artifacts/a/?pattern=**/*.log&limit=5&cursor=YQ',
  '/artifacts/%C3%A9?overwrite=true&retention-days=3',
  'http://user:word@localhost:7070/pins/a/b',
  `/${'k'.repeat(32)}/announce?info_hash=%00`,
];
const HEADERS = [
  'bytes=0-9',
  'bytes=-5',
  'bytes=5-',
  'bytes 0-199/*',
  'bytes 0-199/200',
  `"${SHA256}"`,
  `W/"${SHA256}", "a"`,
  '*',
  `sha-256=:${BASE64}:, md5=:AAAA:`,
  SHA256,
  `Bearer ${SECRET}`,
  `Basic ${Buffer.from(`ci:${SECRET}`).toString('base64')}`,
  'localhost:7070',
  '[::1]:7070',
  'depot.example.',
  'text/plain; charset=utf-8',
  'application/octet-stream',
];
const BODIES = [
  '{"key":"Linux-npm-1","version":"v","cacheSize":5}',
  '{"size":5}',
  '{"key":"a","version":"v","size_bytes":"12","restore_keys":["a","b"]}',
  '<?xml version="1.0"?><BlockList><Latest>YQ==</Latest><Committed>Yg==</Committed></BlockList>',
];
const PATTERNS = ['**/*.log', 'ci/{a,b}/[a-c]?.raw', '{a,{b,c}}*', '[!x]**', '\\*'];
const WORDS = [
  ...['/', '//', '..', '.', '%2e', '%2F', '%00', '%', '%zz', '%ff', '%ED%A0%80', '\\', '?', '#', '&', '=', '+'],
  ...['-', ',', ':', '"', '=:', ':,', '*', '**', '{', '}', '[', ']', '0', '9'.repeat(16), 'bytes=', '0-0,'],
  ...['W/', 'sha-256=', ' ', '\t', '\r\n', '\0', '\u00ff', 'é', '\ud800', '__proto__', 'constructor', 'null', '1e9'],
  ...['<Latest>', '</BlockList>', '&#97;', '<!--', '"key":', '[]', '{}', '-1', '~2F', '~zz', ';', 'haul_'],
];

class Fuzz extends Dice {
  /** One of them, changed in up to four places. */
  #some(list: readonly string[]): string {
    let text = this.pick(list);
    for (let times = this.below(5); times > 0; times--) {
      const at = this.below(text.length + 1);
      const word = this.below(4) === 0 ? String.fromCharCode(this.below(256)) : this.pick(WORDS);
      const repeated = this.below(50) === 0 ? word.repeat(this.below(300)) : word;
      text = text.slice(0, at) + repeated + text.slice(at + this.below(6));
    }
    return this.below(10) === 0 ? text.slice(0, this.below(text.length + 1)) : text;
  }

  round(): void {
    this.#target();
    this.#name();
    this.#conditions();
    this.#digests();
    this.#token();
    this.#pattern();
    this.#head();
    this.#cacheBody();
    this.#cacheNames();
    this.#torrent();
  }

  /** What publishes by peers send: whatever is read is the torrent of a depot. */
  #torrent(): void {
    let torrent: Metainfo;
    try {
      torrent = ownTorrent(Buffer.from(this.#some([OWN_TORRENT]), 'latin1'), 'x');
    } catch (error) {
      assert.ok(HaulError.is(error) && error.code === 'MISMATCH', String(error));
      return;
    }
    const { infoBytes, geometry, pieceHashes } = torrent;
    assert.equal(pieceHashes.length, geometry.pieceCount * 20);
    const blob = {
      lengthBytes: geometry.lengthBytes,
      pieces: pieceHashes,
      pieceLengthBytes: geometry.pieceLengthBytes,
    };
    assert.ok(infoBytes.equals(blobInfo('x', blob)));
  }

  #target(): void {
    const raw = this.#some(TARGETS);
    const target = parseTarget(raw);
    const shown = shownPath(raw);
    if (typeof target === 'string') return;
    const [passkey, last] = target.segments;
    const isAnnounce = target.segments.length === 2 && /^(?:announce|scrape)$/.test(last!);
    assert.ok(!isAnnounce || (shown === `/…/${last}` && passkey !== undefined), shown);
    for (const segment of target.segments) assert.ok(!segment.includes('/') && !/\p{Surrogate}/u.test(segment));
    const again = parseTarget(`/${encodePath(target.segments.join('/'))}${target.isFolder ? '/' : ''}`);
    if (target.segments.length > 0 && typeof again !== 'string')
      assert.deepEqual([again.segments, again.isFolder], [target.segments, target.isFolder]);
    const query = parseQuery(target.rawQuery);
    if (typeof query === 'string') return;
    const pairs = Object.fromEntries(query);
    for (const schema of [PUT_QUERY, GET_QUERY, LIST_QUERY]) schema.safeParse(pairs);
    const put = PUT_QUERY.safeParse(pairs);
    const days = put.success ? put.data['retention-days'] : undefined;
    assert.ok(days === undefined || (Number.isInteger(days) && days >= 1 && days <= 36_500));
  }

  /** Paths of people, and those of Bazel. */
  #name(): void {
    const [, space, path] = /^\/(artifacts|cas|ac)\/(.*?)\/?(?:\?.*)?$/s.exec(this.#some(TARGETS)) ?? [];
    if (space === undefined) return;
    let name: string;
    try {
      name = fullName(space as Space, path!);
    } catch (error) {
      assert.ok(HaulError.is(error) && error.code === 'BAD_ARGUMENT', String(error));
      return;
    }
    const parts = name.split('/').slice(1);
    for (const part of parts) assert.ok(part !== '' && part !== '.' && part !== '..' && !/[\0\\]/.test(part), name);
    assert.ok(Buffer.byteLength(name) <= 1_100 && (space === 'artifacts' || HEX64.test(parts.join('/'))));
  }

  #conditions(): void {
    const etag = etagOf(SHA256);
    const value = this.#some(HEADERS);
    assert.equal(typeof isMatch(value, this.below(2) === 0 ? etag : null), 'boolean');
    assert.equal(typeof isNoneMatch(value, etag), 'boolean');
    const range = rangeOf(this.#some(HEADERS), this.below(2) === 0 ? undefined : value, etag, LENGTH);
    if (range !== null && range !== 'none')
      assert.ok(range.begin >= 0 && range.begin < range.end && range.end <= LENGTH, JSON.stringify(range));
    const part = refused(() => contentRangeOf(this.#some(HEADERS)));
    assert.ok(part === null || (Number.isSafeInteger(part.end) && part.begin >= 0 && part.begin < part.end));
  }

  /** Repr-Digest, Content-Digest, X-Checksum-Sha256. */
  #digests(): void {
    const fields = [this.below(3) === 0 ? undefined : this.#some(HEADERS), this.#some(HEADERS)];
    const stated = statedSha256(fields, this.below(2) === 0 ? undefined : this.#some(HEADERS));
    if (typeof stated !== 'string') assert.ok(stated === null || stated.why !== '');
    else {
      assert.match(stated, HEX64);
      assert.equal(statedSha256([reprDigest(stated)], stated), stated);
    }
  }

  #token(): void {
    const header = this.#some(HEADERS);
    const secret = secretOf(header);
    assert.ok(secret === null || (secret !== '' && secret.length <= 512));
    const grant = refused(() => grantOf(header, TABLE, 'none', 0));
    // Whoever is known has sent the whole of it.
    assert.ok(grant === null || (grant.token?.hash === hashToken(SECRET) && secret === SECRET), header);
    const prefix = prefixOf(this.#some(TARGETS));
    assert.ok(prefix === null || prefix === '' || /^(?:artifacts|cas|ac)\/(?:[^/]+\/)*$/.test(prefix), prefix ?? '');
    try {
      tokensOfLines(this.#some([`${SECRET} read,write ci/`, `${SECRET} admin; ${SECRET}1 read`]), 0);
    } catch (error) {
      assert.ok(HaulError.is(error) && error.code === 'BAD_ARGUMENT' && !error.message.includes(SECRET.slice(5)));
    }
  }

  #pattern(): void {
    const test = namePattern(this.#some(PATTERNS));
    if (typeof test === 'string') return;
    const began = performance.now();
    test(this.#some(['ci/a/b1.raw', 'x'.repeat(1000), 'a/'.repeat(200)]));
    assert.ok(performance.now() - began < 2_000);
  }

  #head(): void {
    const host = hostOf(this.#some(HEADERS));
    assert.ok(host === null || /^[a-z0-9._:-]*$/.test(host), host ?? '');
    const type = keptMediaType(this.#some(HEADERS));
    for (const value of Object.values(
      safeHeaders(type, this.#some(['a.raw', 'é"\r\n.html']).replace(/\p{Surrogate}/gu, '')),
    ))
      assert.ok(/^[\t\x20-\x7e]*$/.test(value), value);
  }

  #cacheBody(): void {
    const body = Buffer.from(this.#some(BODIES));
    for (const schema of [RESERVE_V1, COMMIT_V1, CREATE_V2, FINALIZE_V2, LOOKUP_V2]) {
      const read = refused(() => readJson<unknown>(schema, body)) as { size?: unknown } | null;
      assert.ok(read === null || !('size' in read) || (Number.isSafeInteger(read.size) && Number(read.size) >= 0));
    }
    const list = refused(() => blockListOf(body.toString()));
    assert.ok(list === null || (list.length <= BLOCKS_MAX && list.every((id) => /^[A-Za-z0-9+/]+=*$/.test(id))));
    refused(() => blockIdOf(this.#some(['YQ==', 'Yg', ''])));
  }

  #cacheNames(): void {
    const key = this.#some(['Linux-npm-1', 'a/b', 'x'.repeat(300), 'é']);
    const version = this.#some(['v', SHA256]);
    try {
      const name = entryName({ key, version });
      assert.equal(keyOf(name), key);
      assert.equal(fullName('artifacts', name.slice('artifacts/'.length)), name);
    } catch (error) {
      assert.ok(HaulError.is(error) && error.code === 'BAD_ARGUMENT', String(error));
    }
    keyOf(this.#some(['artifacts/actions-cache/v/a~2Fb', 'artifacts/actions-cache/v/~zz']));
    const ticket = TICKETS.make('upload', '7', 1000);
    const changed = this.#some([ticket]);
    const read = TICKETS.read('upload', changed);
    assert.ok(read === null || (read === '7' && changed === ticket), changed);
    assert.equal(TICKETS.read('download', changed), null);
  }
}

/** Null: it is refused, as a problem of the client. */
function refused<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    assert.ok(error instanceof Problem && error.status >= 400 && error.status < 500, String(error));
    return null;
  }
}

export function fuzzDepot(options: FuzzOptions): { readonly rounds: number } {
  const fuzz = new Fuzz(options.seed);
  return { rounds: fuzzRounds(() => fuzz.round(), options) };
}

fuzzFromShell(import.meta.url, (options) => `${fuzzDepot(options).rounds} rounds`);
