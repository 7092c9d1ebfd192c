/** Magnet links on the command line: made, shown, inspected and downloaded. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseMagnet } from '../../src/magnet/link.js';
import { haul, haulWith, makeFolder, start } from './harness.js';

const XT = `magnet:?xt=urn:btih:${'0123456789'.repeat(4)}`;

describe('magnet links', () => {
  it('of haul share are enough for haul get, the second time without any peer', async (context) => {
    const folder = await makeFolder(context);
    const source = join(folder, 'image.bin');
    await writeFile(source, Buffer.alloc(3_000_000, 'image'));
    const share = start(context, 'share', source, '--port', '0', '--http', '0', '--host', '127.0.0.1', '--json');
    const { magnet, infoHash, announceUrl, port } = await share.line((line) => line.type === 'listening');
    const link = parseMagnet(String(magnet));
    assert.deepEqual([link.infoHashHex, link.displayName, link.trackers], [infoHash, 'image.bin', [announceUrl]]);
    assert.deepEqual(link.peers, [{ host: '127.0.0.1', port }]);
    assert.equal(link.webSeeds.length, 1);
    const output = join(folder, 'copy');
    const get = () => haul('get', String(magnet), '-o', output, '--port', '0', '--timeout', '20s', '--json');
    const first = await get();
    assert.equal(first.exitCode, 0, first.stderr);
    assert.deepEqual(await readFile(join(output, 'image.bin')), await readFile(source));
    await share.stop();
    const second = await get();
    assert.equal(second.exitCode, 0, second.stderr);
    assert.ok((await readdir(output)).some((name) => name.endsWith('.haul-torrent')));
  });

  it('of haul create are those of the torrent', async (context) => {
    const folder = await makeFolder(context);
    await writeFile(join(folder, 'a b'), 'abc');
    const args = ['-o', join(folder, 'x.torrent'), '--tracker', 'udp://t.example:1', '--web-seed', 'http://w.example/'];
    const { stdout, stderr } = await haul('create', join(folder, 'a b'), ...args, '--magnet');
    const text = stdout.split('\n').find((line) => line.startsWith('magnet:'));
    assert.ok(text !== undefined, stdout + stderr);
    const link = parseMagnet(text);
    assert.deepEqual([link.displayName, link.trackers], ['a b', ['udp://t.example:1']]);
    assert.deepEqual(link.webSeeds, ['http://w.example/']);
    assert.ok(stdout.includes(`info-hash ${link.infoHashHex}`));
  });

  it('are inspected without asking anybody', async () => {
    const link = `${XT}&dn=an%1b[2Jimage&tr=udp://t.example:1&x.pe=192.0.2.7:1&so=0,2-4&ws=ftp://w`;
    const { stdout } = await haul('inspect', link);
    assert.match(stdout, /^name {7}an\[2Jimage \(a hint/);
    assert.match(stdout, /\nfiles {6}0,2-4 /);
    const { lines } = await haul('inspect', link, '--json');
    const { infoHash, peers, selectOnly, warnings } = lines.find(({ type }) => type === 'result')!;
    assert.deepEqual([infoHash, peers, selectOnly], ['0123456789'.repeat(4), ['192.0.2.7:1'], '0,2-4']);
    assert.deepEqual(warnings, ['a web seed is ignored: not a URL this program can use']);
  });

  it('show no passkey of a tracker to people; machines get the whole URL', async () => {
    const url = 'http://t.example/0123456789abcdef/announce?key=secret';
    const link = `${XT}&tr=${encodeURIComponent(url)}`;
    const { stdout } = await haul('inspect', link);
    assert.match(stdout, /^trackers +http:\/\/t\.example\/…\/announce\?…$/m);
    const { lines } = await haul('inspect', link, '--json');
    assert.deepEqual(lines[0]!.trackers, [[url]]);
  });

  it('that find nobody in the DHT say that no node of it is known', async (context) => {
    const folder = await makeFolder(context);
    const args = ['-o', folder, '--port', '0', '--timeout', '1s', '--dht'];
    const { exitCode, stderr } = await haulWith({ XDG_STATE_HOME: folder }, 'get', XT, ...args);
    assert.equal(exitCode, 3, stderr);
    assert.match(stderr, /\(--timeout\): no peer is known yet; no node of the DHT is known; name one[^\n]*--dht-node/);
    assert.doesNotMatch(stderr, /names no tracker/);
  });

  it('that are wrong are refused with one line, and one that leads to nobody is given up in time', async (context) => {
    const folder = await makeFolder(context);
    const trackers = Array.from({ length: 3000 }, (_, i) => `&tr=http://t${i}.invalid/announce`).join('');
    for (const link of ['magnet:?dn=x', 'magnet:?xt=urn:btih:0', `${XT}&so=x`, `magnet:?dn=x${trackers}`]) {
      const { exitCode, stderr } = await haul('get', link, '-o', folder, '--port', '0');
      assert.equal(exitCode, 1, stderr);
      assert.match(stderr, /^haul: bad magnet link: [^\n]+\n$/);
    }
    const args = ['-o', folder, '--port', '0', '--timeout', '6s'];
    const { exitCode, stderr } = await haul('get', `${XT}&x.pe=127.0.0.1:9`, ...args);
    assert.equal(exitCode, 3, stderr);
    assert.match(stderr, /no peer answers: 1 connection refused \(127\.0\.0\.1:9\)/);
    assert.deepEqual(await readdir(folder), []);
  });
});
