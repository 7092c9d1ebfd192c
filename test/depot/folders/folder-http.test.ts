/** Folders as torrents over HTTP: who may have them, what is none, and the web seed that is never another's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope } from '../../../lab/scope.js';
import { encodePath } from '../../../src/depot/http/target.js';
import { get, put } from '../agent-harness.js';
import { bytesOf, MIB } from '../depot-kit.js';
import { depotWith, FILES, putAll, torrentOf } from './folder-scene.js';

interface Said {
  readonly code?: string;
  readonly detail?: string;
  readonly infoHash?: string;
  readonly files?: number;
}

const said = ({ bytes }: { bytes: Buffer }): Said => JSON.parse(bytes.toString()) as Said;

test('a folder is told of in three ways; what is none, is too small or cannot be one is said', async (t) => {
  const depot = await depotWith(openScope(t));
  await putAll(depot, 'ci/ü %');
  const ask = (path: string) => get(depot.url, `artifacts/${path}`);
  const folder = encodePath('ci/ü %');
  assert.equal((await ask(`${folder}/?info&made`)).status, 404, 'nobody has asked for it before');
  const info = said(await ask(`${folder}/?info`));
  assert.deepEqual([info.files, info.infoHash], [7, (await torrentOf(depot.url, 'ci/ü %')).infoHashHex]);
  const magnet = (await ask(`${folder}/?magnet`)).bytes.toString();
  assert.ok(magnet.startsWith(`magnet:?xt=urn:btih:${info.infoHash}&dn=%C3%BC%20%25&tr=`), magnet);
  assert.equal((await ask(`${folder}/?magnet&made`)).bytes.toString(), magnet);
  for (const path of ['?torrent', 'none/?torrent', 'ci/a/?magnet', '..%2f/?torrent', 'ci/%2e%2e/?torrent'])
    assert.ok([400, 404].includes((await ask(path)).status), path);
  assert.equal((await ask(`${folder}/?torrent=1`)).status, 400);
  await put(depot.url, 'small/a', Buffer.from('a'));
  assert.match(said(await ask('small/?torrent')).detail!, /too little in it/);
  for (const name of ['both/a', 'both/a/b']) await put(depot.url, name, bytesOf(3 * MIB));
  const both = await ask('both/?torrent');
  assert.deepEqual(
    [both.status, said(both).detail],
    [409, '"a" is an artifact and a folder at once: no torrent can hold both'],
  );
});

test('a token has to be for all of the prefix, and the announce URL is its own', async (t) => {
  const [all, part] = ['haul_all-all-all-all', 'haul_part-part-part-part'];
  const line = (secret: string, prefix: string) => `${secret} read,write,delete ${prefix}`.trim();
  const tokenLines = `${line(all, '')}\n${line(part, 'ci/part')}`;
  const depot = await depotWith(openScope(t), { tokenLines, anonymous: 'none' });
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const response = await fetch(`${depot.url}/artifacts/ci/part/a`, {
    method: 'PUT',
    headers: bearer(part),
    body: bytesOf(5 * MIB),
  });
  assert.equal(response.status, 201);
  const ask = (path: string, token: string) => get(depot.url, `artifacts/${path}`, bearer(token));
  assert.equal((await ask('ci/?torrent', all)).status, 200);
  assert.equal((await ask('ci/?torrent', part)).status, 403);
  assert.equal((await get(depot.url, 'artifacts/ci/?torrent')).status, 401);
  const [one, two] = [await ask('ci/part/?torrent', all), await ask('ci/part/?torrent', part)];
  assert.equal(one.status, 200);
  assert.equal(two.status, 200);
  assert.ok(!one.bytes.equals(two.bytes), 'each names the passkey of who asked');
});

test('the web seed gives the files of the torrent, its padding, and never what took a name', async (t) => {
  const depot = await depotWith(openScope(t));
  await putAll(depot, 'ci/dist');
  const { infoHashHex, files } = await torrentOf(depot.url, 'ci/dist');
  const ask = (path: string, headers = {}) => get(depot.url, `folders/${infoHashHex}/${encodePath(path)}`, headers);
  for (const [path, bytes] of FILES) assert.ok((await ask(`dist/${path}`)).bytes.equals(bytes), path);
  const pad = files.find(({ isPad }) => isPad)!;
  const zeros = await ask(pad.path.join('/'), { range: 'bytes=1-' });
  assert.deepEqual([zeros.status, zeros.bytes.length], [206, pad.lengthBytes - 1]);
  assert.ok(zeros.bytes.every((byte) => byte === 0));
  for (const path of ['dist', 'other/a.txt', 'dist/none', 'dist/.pad/1', 'a.txt'])
    assert.equal((await ask(path)).status, 404, path);
  const overwritten = await fetch(`${depot.url}/artifacts/ci/dist/a.txt?overwrite=true`, {
    method: 'PUT',
    body: 'other',
  });
  assert.equal(overwritten.status, 200);
  assert.equal((await ask('dist/a.txt')).status, 404);
  assert.equal((await ask('dist/sub/b')).status, 404, 'the torrent is gone');
});
