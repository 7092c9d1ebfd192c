/** Links that torrents bring, and links that somebody puts in the place of what is shared. */
import assert from 'node:assert/strict';
import { lstat, mkdir, readlink, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { seededBytes } from '../../lab/data.js';
import { openScope } from '../../lab/scope.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { writeInterested, writeRequest } from '../../src/wire/encoder.js';
import { connectRawPeer } from '../support/raw-peer.js';
import { haul, makeFolder, start } from './harness.js';

/** Shares `folder`/t by another process; resolves with the URL of its torrent. */
async function share(context: TestContext, folder: string): Promise<string> {
  const sharer = start(context, 'share', join(folder, 't'), '--port', '0', '--http', '0', '--json');
  return String((await sharer.line((line) => line.type === 'listening')).loopbackUrl);
}

it('two torrents of one name cannot make a link that leads out of the output folder together', async (context) => {
  const folder = await makeFolder(context);
  const [first, second, output] = ['first', 'second', 'output'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(join(first, 't/d1/d2'), { recursive: true });
  await mkdir(join(first, 't/z'));
  await writeFile(join(first, 't/z/b'), 'bytes');
  await symlink('../../z', join(first, 't/d1/d2/d3'));
  await mkdir(join(second, 't/d1/d2/d3'), { recursive: true });
  await writeFile(join(second, 't/c'), 'other bytes');
  await symlink('../../../x', join(second, 't/d1/d2/d3/l'));

  const get = async (from: string) =>
    haul('get', await share(context, from), '--output', output, '--port', '0', '--json');
  const fetched = await get(first);
  assert.equal(fetched.exitCode, 0, fetched.stderr);
  assert.equal(await readlink(join(output, 't/d1/d2/d3')), '../../z');
  const refused = await get(second);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /^haul: [^\n]+t\/d1\/d2\/d3\/l would lead to [^\n]+; move it away\n$/);
  await assert.rejects(lstat(join(output, 't/z/l')), { code: 'ENOENT' });
  await assert.rejects(lstat(join(output, 't/c')), { code: 'ENOENT' });
});

it('haul share serves the files that it looked at, not what somebody puts in their places', async (context) => {
  const folder = await makeFolder(context);
  await mkdir(join(folder, 't/sub'), { recursive: true });
  await writeFile(join(folder, 't/sub/a'), seededBytes('shared', 100_000));
  const secret = seededBytes('secret', 100_000);
  await mkdir(join(folder, 'secrets'));
  await writeFile(join(folder, 'secrets/a'), secret);
  const sharer = start(context, 'share', join(folder, 't'), '--port', '0', '--http', '0', '--json');
  const { loopbackUrl, port } = await sharer.line((line) => line.type === 'listening');
  const metainfo = parseTorrent(Buffer.from(await (await fetch(String(loopbackUrl))).arrayBuffer()));
  // Before anybody has asked for it: the file is opened when the first block is.
  await rename(join(folder, 't/sub'), join(folder, 'aside'));
  await symlink('../secrets', join(folder, 't/sub'));
  const leech = await connectRawPeer(openScope(context), {
    port: Number(port),
    metainfo,
    peerId: '-XX0000-000000000000',
    onEvent: (peer, event) => {
      if (event !== 'unchoke') return;
      for (let begin = 0; begin < 98_304; begin += 16_384) writeRequest(peer.out, 0, begin, 16_384);
      peer.flush();
    },
  });
  writeInterested(leech.out);
  leech.flush();
  await Promise.race([leech.closed, leech.event('block end')]);
  const heard = leech.recorder.events.join('\n');
  for (let begin = 0; begin < 98_304; begin += 16_384)
    assert.ok(!heard.includes(secret.toString('hex', begin, begin + 64)), 'nothing of the secret was sent');
  const { exitCode, stderr } = await sharer.finished;
  assert.equal(exitCode, 1);
  // Whoever looks between the two steps of the exchange finds none.
  assert.match(stderr, /^haul: [^\n]*\/t\/sub\/a is (another file now|gone): [^\n]+\n$/);
});
