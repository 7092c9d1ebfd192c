/**
 * Fuzzing of what a depot says: descriptions of artifacts, listings, heads of answers, problems, torrents, answers of
 * 500 and more, that were changed at random. Nothing throws but what the agent takes for a lie, and what is believed
 * can be told again: as JSON, in a header, as a path. `node dist/test/depot/said-fuzz.js SECONDS [SEED]` goes on for so
 * long; a failure prints the round and the seed.
 */
import assert from 'node:assert/strict';
import { validateHeaderValue } from 'node:http';
import { decodeRecord, encodeRecord } from '../../src/depot/agent/blob-record.js';
import { checkTorrent } from '../../src/depot/agent/check-torrent.js';
import { DepotFailed, DepotLies, troubleOf } from '../../src/depot/agent/depot-trouble.js';
import { plain } from '../../src/depot/agent/plain-text.js';
import { HEAD_BYTES_MAX, readHead } from '../../src/depot/agent/response-head.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { jsonOf, rowOfHead, rowOfInfo, saidArrival, saidArtifact, saidPage } from '../../src/depot/depot-said.js';
import { safeHeaders } from '../../src/depot/http/media-type.js';
import { readProblem } from '../../src/depot/http/problems.js';
import { fileNameOf, fullName } from '../../src/depot/names.js';
import { Dice, type FuzzOptions, fuzzFromShell, fuzzRounds } from '../support/fuzz.js';
import { createTorrentBytes } from './agent-torrent.js';

/** What the rounds met: how many of each kind were believed. */
export interface FuzzOutcome {
  readonly rounds: number;
  readonly artifacts: number;
  readonly pages: number;
  readonly arrivals: number;
  readonly heads: number;
  readonly written: number;
  readonly problems: number;
  readonly torrents: number;
  readonly lies: number;
}

const SHA256 = 'ab'.repeat(32);
const NAME = 'ci/1/x';
const BYTES = Buffer.alloc(300_000, 'content');
const { bytes: TORRENT, infoHash } = createTorrentBytes('x', BYTES);
const ARTIFACT = {
  name: NAME,
  sha256: SHA256,
  lengthBytes: BYTES.length,
  contentType: 'text/plain; charset=utf-8',
  created: '2026-11-28T12:00:00.000Z',
  expires: null,
  isPinned: false,
  infoHash,
  url: 'http://depot/artifacts/ci/1/x',
  torrentUrl: null,
  magnet: null,
};
const ARRIVAL = {
  name: NAME,
  sha256: SHA256,
  lengthBytes: BYTES.length,
  infoHash,
  state: 'done',
  receivedBytes: BYTES.length,
  peers: 1,
  url: `http://depot/arrivals/${'0'.repeat(32)}`,
  announceUrl: 'http://depot/announce',
  peerPort: 6881,
  artifact: ARTIFACT,
  problem: null,
};
const WORDS = [
  'null',
  '""',
  '-1',
  '1e999',
  '9007199254740993',
  '[]',
  '{}',
  '"\\u0000"',
  '"\\ud800"',
  '"../../etc/passwd"',
  '"/abs"',
  '"a/./b"',
  '"text/html\\r\\nx: y"',
  '"0000-00-00T00:00:00Z"',
  '"+275760-09-13T00:00:00Z"',
  '"2026-02-31T00:00:00Z"',
  '__proto__',
  '"toString"',
  '\r\n',
  '\0',
  ',',
  ':',
  '{"cursor":',
  '[['.repeat(2000),
  'x'.repeat(3000),
];

class Fuzz extends Dice {
  readonly met = { artifacts: 0, pages: 0, arrivals: 0, heads: 0, written: 0, problems: 0, torrents: 0, lies: 0 };
  readonly #texts: readonly string[];

  constructor(seed: number) {
    super(seed);
    const problem = { type: 'urn:x', title: 'x', status: 404, detail: 'there is none', code: 'NOT_FOUND' };
    const page = { prefix: '', items: [ARTIFACT, ARTIFACT], cursor: 'abc' };
    this.#texts = [ARTIFACT, page, problem, ARRIVAL].map((value) => JSON.stringify(value));
  }

  #mutate(bytes: Buffer): Buffer {
    let changed = bytes;
    for (let times = this.below(4); times > 0; times--) {
      const at = this.below(changed.length + 1);
      const word = this.below(3) === 0 ? Buffer.from([this.below(256)]) : Buffer.from(this.pick(WORDS));
      changed = Buffer.concat([changed.subarray(0, at), word, changed.subarray(at + this.below(40))]);
    }
    return changed;
  }

  /** A value in the place of another, so that what it is in stays JSON. */
  #swap(text: string): string {
    const values = [...text.matchAll(/:("[^"]*"|null|true|false|\d+)/g)];
    const found = this.pick(values);
    const at = found.index + 1;
    return text.slice(0, at) + this.pick(WORDS.slice(0, 18)) + text.slice(at + found[1]!.length);
  }

  round(): void {
    const text = this.pick(this.#texts);
    const body = this.#mutate(Buffer.from(this.below(2) === 0 ? text : this.#swap(text)));
    this.#checkRow(rowOfInfo(`artifacts/${NAME}`, body), 'artifacts');
    const page = saidPage(jsonOf(body));
    if (page !== null) this.met.pages++;
    for (const item of page?.items ?? []) {
      const artifact = saidArtifact(item);
      if (artifact !== null) assert.equal(fullName('artifacts', artifact.name), `artifacts/${artifact.name}`);
    }
    const arrival = saidArrival(jsonOf(body));
    if (arrival !== null) {
      this.met.arrivals++;
      assert.match(arrival.id, /^[0-9a-f]{32}$/);
      assert.ok(URL.canParse(arrival.announceUrl) && (arrival.peerPort ?? 1) > 0 && (arrival.peerPort ?? 1) < 65_536);
    }
    const { detail, code } = readProblem(body);
    if (code !== null) this.met.problems++;
    assert.ok(code === null || /^[A-Z0-9_]{1,40}$/.test(code));
    assert.match(plain(detail ?? ''), /^[^\p{Cc}\p{Cs}]{0,300}$/u);
    this.#head();
    this.#trouble();
    if (this.below(8) === 0) this.#torrent();
    this.#record();
  }

  #checkRow(row: ArtifactRow | null, kind: 'artifacts' | 'heads'): void {
    if (row === null) return;
    this.met[kind]++;
    assert.match(row.sha256, /^[0-9a-f]{64}$/);
    assert.ok(Number.isSafeInteger(row.lengthBytes) && row.lengthBytes >= 0);
    // As it is told to clients.
    for (const ms of [row.createdMs, row.expiresMs ?? 0]) assert.match(new Date(ms).toISOString(), /^\d{4}-/);
    for (const [name, value] of Object.entries(safeHeaders(row.contentType, fileNameOf(row.name))))
      validateHeaderValue(name, value);
  }

  #head(): void {
    const value = (text: string): string => (this.below(3) === 0 ? this.#mutate(Buffer.from(text)).toString() : text);
    const headers = {
      'x-checksum-sha256': value(SHA256),
      'content-length': value('1000'),
      'last-modified': value('Sat, 28 Nov 2026 12:00:00 GMT'),
    };
    const row = rowOfHead(`cas/${SHA256}`, headers);
    if (row !== null) assert.equal(row.sha256, SHA256);
    this.#checkRow(row, 'heads');
    this.#written(headers);
  }

  /** The same as it comes over the wire. */
  #written(headers: Readonly<Record<string, string>>): void {
    const lines = Object.entries(headers).map(([name, text]) => `${name}: ${text}\r\n`);
    const bytes = this.#mutate(Buffer.from(`HTTP/1.1 200 OK\r\n${lines.join('')}\r\nbody`));
    const head = readHead(bytes);
    if (head === 'more') assert.ok(bytes.length < HEAD_BYTES_MAX);
    if (head === 'more' || head === null) return;
    this.met.written++;
    assert.ok(head.headBytes <= bytes.length && head.headBytes <= HEAD_BYTES_MAX && head.status >= 100);
    for (const [name, text] of Object.entries(head.headers)) {
      assert.equal(name, name.toLowerCase());
      validateHeaderValue(name, text);
    }
    assert.ok(head.lengthBytes === null || Number.isSafeInteger(head.lengthBytes));
    // However it is cut it is the same.
    const cut = readHead(bytes.subarray(0, this.below(head.headBytes)));
    assert.ok(cut === 'more' || cut === null);
  }

  #trouble(): void {
    const status = 100 + this.below(900);
    const trouble = troubleOf(status, this.below(2) === 0 ? null : this.#mutate(Buffer.from('120')).toString());
    assert.equal(trouble === null, status < 500 || status === 507);
    if (trouble instanceof DepotFailed && trouble.retrySeconds !== null)
      assert.ok(trouble.retrySeconds >= 0 && trouble.retrySeconds <= 3600);
  }

  #torrent(): void {
    const row = rowOfInfo(`artifacts/${NAME}`, Buffer.from(JSON.stringify(ARTIFACT)))!;
    try {
      const { metainfo } = checkTorrent(this.#mutate(TORRENT), row);
      this.met.torrents++;
      assert.deepEqual([metainfo.infoHashHex, metainfo.name], [infoHash, 'x']);
      assert.deepEqual(metainfo.webSeeds, []);
    } catch (error) {
      if (!(error instanceof DepotLies)) throw error;
      this.met.lies++;
    }
  }

  /** Of our own, on a disk that is not well. */
  #record(): void {
    const stamp = { device: 1n, inode: 2n, birthNs: 3n, mtimeNs: 4n, ctimeNs: 5n, sizeBytes: 10 };
    const text = encodeRecord({ sha256: SHA256, lengthBytes: 10, infoHash, fileName: 'x', stamp });
    const record = decodeRecord(this.#mutate(Buffer.from(text)).toString(), SHA256);
    assert.ok(record === null || (!record.fileName.includes('/') && record.stamp.sizeBytes === record.lengthBytes));
  }
}

export function fuzzSaid(options: FuzzOptions): FuzzOutcome {
  const fuzz = new Fuzz(options.seed);
  const rounds = fuzzRounds(() => fuzz.round(), options);
  return { rounds, ...fuzz.met };
}

fuzzFromShell(import.meta.url, (options) => JSON.stringify(fuzzSaid(options)));
