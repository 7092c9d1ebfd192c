/** `haul track` for some torrents, and for some people. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { announceHttp } from '../../src/discovery/http-tracker.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { haul, makeFolder, start } from './harness.js';

const INFO = { name: 'a', length: 5, 'piece length': 16_384, pieces: Buffer.alloc(20, 1) };

const announce = (base: string, infoHash: Uint8Array, key = '') =>
  announceHttp(`${base}${key}/announce`, {
    infoHash,
    peerId: Buffer.alloc(20, 2),
    port: 6881,
    uploadedBytes: 0,
    downloadedBytes: 0,
    leftBytes: 3,
    numwant: 50,
  });

describe('haul track', () => {
  it('tracks the torrents of --allow only, and whom --passkeys knows', async (context) => {
    const folder = await makeFolder(context);
    const torrent = join(folder, 'a.torrent');
    await writeFile(torrent, encodeBencode({ info: INFO }));
    const { infoHash } = parseTorrent(encodeBencode({ info: INFO }));
    const hash = Buffer.alloc(20, 0xab);
    const keys = join(folder, 'keys.txt');
    await writeFile(keys, '# ours\n\n alice \r\nbob-2\n');
    const words = ['--host', '127.0.0.1', '--port', '0', '--json', '--no-state'];
    const tracker = start(
      context,
      ...['track', ...words, '--allow', torrent, hash.toString('hex'), '--passkeys', keys],
    );
    const { port, announceUrl } = (await tracker.line(({ type }) => type === 'listening')) as unknown as {
      port: number;
      announceUrl: string;
    };
    assert.match(announceUrl, /\/PASSKEY\/announce$/);
    const base = `http://127.0.0.1:${port}`;
    for (const allowed of [infoHash, hash]) await announce(base, allowed, '/alice');
    await announce(base, hash, '/bob-2');
    await assert.rejects(announce(base, Buffer.alloc(20, 1), '/alice'), /does not serve this torrent/);
    await assert.rejects(announce(base, hash, '/eve'), /passkey is not known/);
    await assert.rejects(announce(base, hash), /passkey is not known/);
    await tracker.stop();
  });

  it('says what is wrong with its lists', async (context) => {
    const folder = await makeFolder(context);
    const keys = join(folder, 'keys.txt');
    await writeFile(keys, 'good\nb/ad\n');
    const said = async (...words: string[]): Promise<string> => (await haul('track', '--port', '0', ...words)).stderr;
    assert.match(await said('--passkeys', keys), /keys\.txt: a key has 1 to 64/);
    await writeFile(keys, '# none\n');
    assert.match(await said('--passkeys', keys), /holds no key/);
    assert.match(await said('--passkeys', '/dev/zero'), /larger than 1 MiB/);
    assert.match(await said('--allow', 'abcd'), /abcd/);
    assert.match(await said('--allow', keys), /no \.torrent file|torrent/);
  });

  it('--data offers what its torrents are of, by HTTP, and .torrent files that say so', async (context) => {
    const folder = await makeFolder(context);
    const bytes = randomBytes(300_000);
    await writeFile(join(folder, 'image.bin'), bytes);
    const torrent = join(folder, 'image.torrent');
    assert.equal((await haul('create', join(folder, 'image.bin'), '-o', torrent)).exitCode, 0);
    const words = ['track', '--host', '127.0.0.1', '--port', '0', '--no-state'];
    const data = ['--allow', torrent, '--data', folder];
    const tracker = start(context, ...words, ...data, '--interval', '30s', '--expiry', '45s', '--json');
    const offering = await tracker.line(({ type }) => type === 'offering');
    const { port } = await tracker.line(({ type }) => type === 'listening');
    const part = await fetch(String(offering.dataUrl), { headers: { range: 'bytes=5-99' } });
    assert.deepEqual([part.status, Buffer.from(await part.arrayBuffer())], [206, bytes.subarray(5, 100)]);
    const served = parseTorrent(Buffer.from(await (await fetch(String(offering.torrentUrl))).arrayBuffer()));
    const base = `http://127.0.0.1:${port}`;
    assert.deepEqual([served.trackers, served.webSeeds], [[[`${base}/announce`]], [`${base}/data/image.bin`]]);
    assert.equal(served.infoHashHex, offering.infoHash);
    const reply = await announce(base, served.infoHash);
    assert.equal(reply.intervalMs, 30_000);
    const got = await haul(
      'get',
      String(offering.torrentUrl),
      '-o',
      join(folder, 'to'),
      '--port',
      '0',
      '--timeout',
      '2m',
    );
    assert.equal(got.exitCode, 0, got.stderr);
    assert.deepEqual(await readFile(join(folder, 'to', 'image.bin')), bytes);
    await writeFile(join(folder, 'image.bin'), 'something else');
    assert.equal((await fetch(String(offering.dataUrl))).status, 410);
    await tracker.stop();
    const { bytesPerPeer, peers, announces, outcome } = await tracker.line(({ type }) => type === 'result');
    assert.equal(outcome, 'stopped');
    assert.ok(Number(peers) >= 1 && Number(announces) >= 1 && Number(bytesPerPeer) > 0);
    const refused = await haul(...words, ...data);
    assert.equal(refused.exitCode, 1, refused.stderr);
    assert.match(refused.stderr, /image\.bin: \d+ of \d+ pieces in .* are bad; `haul verify` names the files\n$/);
  });

  it('says which of its options do not go together', async (context) => {
    const folder = await makeFolder(context);
    const said = async (...words: string[]): Promise<string> => (await haul('track', '--port', '0', ...words)).stderr;
    assert.match(await said('--data', folder), /name the \.torrent files of that data with --allow/);
    const hash = 'ab'.repeat(20);
    assert.match(await said('--data', folder, '--allow', hash), /name the \.torrent files/);
    assert.match(await said('--data', folder, '--allow', 'x', '--passkeys', 'y'), /one of them only/);
    assert.match(await said('--interval', '10m', '--expiry', '5m'), /longer than the 600 s of the interval/);
    for (const odd of ['0', 'soon', 'forever', '1.5s', '2d'])
      assert.match(await said('--interval', odd), /Whole seconds up to a day|A duration is/);
  });
});
