/** `haul inspect --scrape`, and certificates that only the user trusts. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { startTracker } from '../../src/tracker/server.js';
import { CERTIFICATE, PRIVATE_KEY } from '../support/certificate.js';
import { startWebServer } from '../support/web-server.js';
import { haul, makeFolder } from './harness.js';

const INFO = { name: 'a', length: 5, 'piece length': 16_384, pieces: Buffer.alloc(20, 1) };

async function makeTorrent(folder: string, trackers: readonly string[]): Promise<string> {
  const path = join(folder, 'a.torrent');
  await writeFile(path, encodeBencode({ info: INFO, 'announce-list': trackers.map((url) => [url]) }));
  return path;
}

describe('haul inspect --scrape', () => {
  it('asks every tracker, by HTTP and UDP, and says which do not answer', async (context) => {
    const scope = openScope(context);
    const tracker = await startTracker({ host: '127.0.0.1', port: 0 });
    scope.defer(() => tracker.close());
    const { infoHash } = parseTorrent(encodeBencode({ info: INFO }));
    tracker.register(infoHash, { seedPort: 7000 });
    const known = `127.0.0.1:${tracker.port}`;
    const dead = 'http://127.0.0.1:1/secret/announce';
    const urls = [`http://${known}/announce`, `udp://${known}/announce`, dead];
    const torrent = await makeTorrent(await makeFolder(context), urls);
    const { exitCode, lines } = await haul('inspect', torrent, '--scrape', '--json');
    assert.equal(exitCode, 0);
    const scraped = lines[0]!.scrape as Record<string, unknown>[];
    const counts = { complete: 1, incomplete: 0, downloaded: 0 };
    assert.deepEqual(scraped.slice(0, 2), [
      { url: urls[0], ...counts },
      { url: urls[1], ...counts },
    ]);
    assert.deepEqual([scraped[2]!.url, scraped[2]!.complete], ['http://127.0.0.1:1/…/announce', null]);
    assert.match(String(scraped[2]!.error), /connection refused/);
    const { stdout } = await haul('inspect', torrent, '--scrape');
    assert.match(stdout, /^tracker +udp:\S+: 1 seed, 0 downloading, 0 completed$/m);
    assert.doesNotMatch(stdout.slice(stdout.indexOf('\ntracker ')), /secret/);
  });

  it('asks nobody where there is no tracker, and does not ask a tracker twice', async (context) => {
    const folder = await makeFolder(context);
    const none = await haul('inspect', await makeTorrent(folder, []), '--scrape', '--json');
    assert.deepEqual(none.lines[0]!.scrape, []);
    const dead = 'udp://127.0.0.1:53/announce';
    const twice = await haul('inspect', await makeTorrent(folder, [dead, dead]), '--scrape', '--json');
    assert.equal((twice.lines[0]!.scrape as unknown[]).length, 1);
  });

  it('trusts a tracker of HTTPS whose certificate is in the file of --ca, and no other', async (context) => {
    const scope = openScope(context);
    const server = await startWebServer(scope, {}, { cert: CERTIFICATE, key: PRIVATE_KEY });
    server.hook = (_request, response) => {
      response.end('d5:filesdee');
      return true;
    };
    const folder = await makeFolder(context);
    const torrent = await makeTorrent(folder, [`${server.url}/announce`]);
    const error = async (...options: string[]): Promise<string> => {
      const { lines } = await haul('inspect', torrent, '--scrape', '--json', ...options);
      return String((lines[0]!.scrape as { error?: string }[])[0]!.error);
    };
    assert.match(await error(), /DEPTH_ZERO_SELF_SIGNED_CERT/);
    assert.equal(server.asked.length, 0);
    const ca = join(folder, 'ca.pem');
    await writeFile(ca, CERTIFICATE);
    assert.equal(await error('--ca', ca), 'it does not know this torrent');
  });

  it('says what is wrong with the file of --ca', async (context) => {
    const folder = await makeFolder(context);
    const torrent = await makeTorrent(folder, []);
    const said = async (ca: string): Promise<string> => (await haul('inspect', torrent, '--scrape', '--ca', ca)).stderr;
    assert.match(await said(torrent), /--ca .*a\.torrent: it holds no certificate \(PEM\)/);
    assert.match(await said('/dev/zero'), /--ca \/dev\/zero: larger than 1 MiB/);
    assert.match(await said(join(folder, 'none.pem')), /none\.pem/);
    assert.match(await said(folder), /directory/i);
  });
});
