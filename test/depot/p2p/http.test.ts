/** `PUT …?p2p` and `/arrivals/…` by HTTP: what a PUT refuses is refused, and nobody sees or ends what is not theirs. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope, type Scope } from '../../../lab/scope.js';
import { until } from '../../../lab/wait.js';
import type { DepotOptions } from '../../../src/depot/api.js';
import { startDepot } from '../../../src/index.js';
import { parseTorrent } from '../../../src/metainfo/torrent.js';
import { bytesOf, KIB, sha256 } from '../depot-kit.js';
import { quickFolder } from '../quick-folder.js';
import { DEADLINE_MS, seedOf, torrentOf } from './scene.js';

const SECRETS = { ci: 'haul_ci_0123456789abcdef', all: 'haul_all_0123456789abcdef', read: 'haul_read_0123456789abc' };
const LINES = `${SECRETS.ci} read,write ci/\n${SECRETS.all} admin\n${SECRETS.read} read`;
const BYTES = bytesOf(600 * KIB);
const TORRENT = torrentOf('image.raw', BYTES);

interface Told {
  readonly status: number;
  readonly location: string;
  readonly body: Record<string, unknown>;
}

type Who = keyof typeof SECRETS | null;

async function open(t: TestContext, options: Partial<DepotOptions> = {}) {
  const scope = openScope(t);
  const data = join(await quickFolder(scope), 'data');
  const depot = await startDepot({ data, httpPort: 0, engine: { port: 0 }, torrentFromBytes: 100_000, ...options });
  scope.defer(() => depot.close(0));
  const ask = async (method: string, url: string, who: Who, body?: Buffer, headers = {}): Promise<Told> => {
    const all = new Headers(headers);
    if (who !== null) all.set('authorization', `Bearer ${SECRETS[who]}`);
    const answer = await fetch(url, { method, headers: all, ...(body && { body }) });
    const text = await answer.text();
    const said = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    return { status: answer.status, location: answer.headers.get('location') ?? '', body: said };
  };
  const put = (name: string, who: Who, { query = '', torrent = TORRENT, headers = {} } = {}): Promise<Told> =>
    ask('PUT', `${depot.url}/artifacts/${name}?p2p${query}`, who, torrent, headers);
  return { scope, data, depot, ask, put };
}

const brief = ({ status, body }: Told): string => `${status} ${body.code ?? body.state ?? body.name ?? ''}`;

async function waitFor(ask: () => Promise<Told>, state: string): Promise<Told> {
  return until(`it is ${state}`, DEADLINE_MS, async () => {
    const told = await ask();
    return told.body.state === state ? told : false;
  });
}

function seed(scope: Scope, torrent: Buffer, bytes: Buffer, port: number | null): Promise<void> {
  return seedOf(scope, torrent, bytes).then((engine) => engine.torrents[0]!.addPeer('127.0.0.1', port!));
}

test('202 and a place to ask; the same URL tells how it went; the tracker tells seeds where to give', async (t) => {
  const { scope, data, depot, ask, put } = await open(t);
  const digest = { 'x-checksum-sha256': sha256(BYTES) };
  const begun = await put('ci/1/image.raw', null, { headers: digest });
  assert.equal(brief(begun), '202 receiving');
  const { name, lengthBytes, infoHash, url, peerPort, announceUrl, artifact, problem } = begun.body;
  assert.deepEqual(
    [name, lengthBytes, peerPort, artifact, problem],
    ['ci/1/image.raw', BYTES.length, depot.peerPort, null, null],
  );
  assert.deepEqual([begun.location, announceUrl], [url, `${depot.url}/announce`]);
  const { infoHash: raw, infoHashHex } = parseTorrent(TORRENT);
  assert.equal(infoHash, infoHashHex);
  const status = await ask('GET', `${depot.url}/status`, null);
  const [upload] = status.body.uploads as Record<string, unknown>[];
  assert.deepEqual([upload?.name, upload?.lengthBytes, upload?.receivedBytes], [name, BYTES.length, 0]);
  const percent = [...raw].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  const query = `info_hash=${percent}&peer_id=${'x'.repeat(20)}&port=7&uploaded=0&downloaded=0&left=0&compact=1`;
  const reply = Buffer.from(await (await fetch(`${announceUrl}?${query}`)).arrayBuffer());
  const peers = Buffer.from([...Buffer.from('5:peers6:'), 127, 0, 0, 1, depot.peerPort! >> 8, depot.peerPort! & 255]);
  assert.ok(reply.includes(peers), reply.toString('latin1'));
  assert.equal(brief(await put('ci/1/image.raw', null, { headers: digest })), '202 receiving');
  await seed(scope, TORRENT, BYTES, depot.peerPort);
  const done = await waitFor(() => ask('GET', begun.location, null), 'done');
  assert.equal((done.body.artifact as { sha256: string }).sha256, sha256(BYTES));
  const there = await put('ci/1/image.raw', null, { headers: digest });
  assert.deepEqual([brief(there), there.location], ['200 ci/1/image.raw', `${depot.url}/artifacts/ci/1/image.raw`]);
  assert.equal(brief(await ask('DELETE', begun.location, null)), '204 ');
  assert.equal(brief(await ask('GET', begun.location, null)), '404 NOT_FOUND');
  const got = await fetch(`${depot.url}/artifacts/ci/1/image.raw`);
  assert.ok(Buffer.from(await got.arrayBuffer()).equals(BYTES));
  assert.deepEqual(await readdir(join(data, '.swarmhaul-p2p')), []);
});

test('what a PUT refuses is refused before anything is fetched', async (t) => {
  const { depot, ask, put, data } = await open(t, { tokenLines: LINES, artifactBytesMax: 10_000_000 });
  const plain = await ask('PUT', `${depot.url}/artifacts/ci/taken/image.raw`, 'ci', Buffer.from('others'));
  assert.equal(plain.status, 201);
  const large = torrentOf('image.raw', Buffer.alloc(10_000_001));
  const other = torrentOf('other.raw', BYTES);
  const short = torrentOf('image.raw', bytesOf(99_999));
  const told = {
    'no token': await put('ci/a/image.raw', null),
    'a token without write': await put('ci/a/image.raw', 'read'),
    'another prefix': await put('other/image.raw', 'ci'),
    'to replace without delete': await put('ci/taken/image.raw', 'ci', { query: '&overwrite=true' }),
    'other bytes have the name': await put('ci/taken/image.raw', 'ci'),
    'anything has it': await put('ci/taken/image.raw', 'ci', { headers: { 'if-none-match': '*' } }),
    'a digest that is none': await put('ci/a/image.raw', 'ci', { headers: { 'x-checksum-sha256': 'x' } }),
    'an encoded body': await put('ci/a/image.raw', 'ci', { headers: { 'content-encoding': 'gzip' } }),
    'no retention': await put('ci/a/image.raw', 'ci', { query: '&retention-days=0' }),
    'p2p of something': await put('ci/a/image.raw', 'ci', { query: '=true' }),
    'too long': await put('ci/a/image.raw', 'ci', { torrent: large }),
    'too short for a torrent': await put('ci/a/image.raw', 'ci', { torrent: short }),
    'another name in it': await put('ci/a/image.raw', 'ci', { torrent: other }),
    'no torrent': await put('ci/a/image.raw', 'ci', { torrent: Buffer.alloc(100_000, 'l') }),
    nothing: await put('ci/a/image.raw', 'ci', { torrent: Buffer.alloc(0) }),
    'a name that is none': await put('ci/%00', 'ci'),
    'a long torrent': await put('ci/a/image.raw', 'ci', { torrent: Buffer.alloc(10 * 1024 * KIB + 1) }),
  };
  assert.deepEqual(Object.fromEntries(Object.entries(told).map(([what, answer]) => [what, brief(answer)])), {
    'no token': '401 NO_TOKEN',
    'a token without write': '403 TOKEN_SCOPE',
    'another prefix': '403 TOKEN_SCOPE',
    'to replace without delete': '403 TOKEN_SCOPE',
    'other bytes have the name': '409 FILE_EXISTS',
    'anything has it': '412 PRECONDITION',
    'a digest that is none': '400 BAD_ARGUMENT',
    'an encoded body': '415 ENCODING',
    'no retention': '400 BAD_QUERY',
    'p2p of something': '400 BAD_QUERY',
    'too long': '413 LIMIT',
    'too short for a torrent': '409 SEND_BYTES',
    'another name in it': '422 MISMATCH',
    'no torrent': '422 MISMATCH',
    nothing: '422 MISMATCH',
    'a name that is none': '400 BAD_ARGUMENT',
    'a long torrent': '413 LIMIT',
  });
  assert.deepEqual(await readdir(join(data, '.swarmhaul-p2p')), []);
});

test('what is on its way is seen and given up by who may write its name, and by nobody else', async (t) => {
  const { depot, ask, put, data } = await open(t, { tokenLines: LINES });
  const { location, body } = await put('ci/b/image.raw', 'ci');
  assert.match(String(body.announceUrl), /\/[\w-]{20,}\/announce$/);
  const hidden = await put('secret/image.raw', 'all', { torrent: torrentOf('image.raw', bytesOf(200_000, 9)) });
  const told = [
    await ask('GET', location, null),
    await ask('GET', location, 'read'),
    await ask('GET', hidden.location, 'ci'),
    await ask('DELETE', hidden.location, 'ci'),
    await ask('GET', `${depot.url}/arrivals/${'0'.repeat(32)}`, 'all'),
    await ask('GET', `${depot.url}/arrivals/..%2f`, 'all'),
    await ask('POST', location, 'all'),
    await ask('GET', `${location}?x=1`, 'ci'),
  ];
  assert.deepEqual(
    told.map(({ status }) => status),
    [401, 403, 403, 403, 404, 400, 405, 400],
  );
  const seen = (await ask('GET', `${depot.url}/status`, 'ci')).body.uploads as { name: string }[];
  assert.deepEqual(
    seen.map(({ name }) => name),
    ['ci/b/image.raw'],
  );
  assert.equal((await ask('DELETE', location, 'ci')).status, 204);
  const ended = await ask('GET', location, 'ci');
  assert.deepEqual([brief(ended), (ended.body.problem as { code: string }).code], ['200 failed', 'GIVEN_UP']);
  assert.equal((await ask('DELETE', hidden.location, 'all')).status, 204);
  assert.deepEqual(await readdir(join(data, '.swarmhaul-p2p')), []);
});
