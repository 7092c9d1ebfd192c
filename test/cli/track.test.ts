/** `haul track` for some torrents, and for some people. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
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
});
