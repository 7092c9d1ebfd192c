/** Real clients announce to our tracker: aria2 and libtorrent. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { scrapeHttp } from '../../src/discovery/http-tracker.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { startTracker } from '../../src/tracker/server.js';
import { DEBIAN_PYTHON } from '../support/clients/libtorrent.js';
import { requirePrograms } from '../support/requirements.js';

/** A tracker for one small torrent whose data nobody has, with its .torrent file in a folder of its own. */
async function scene(context: TestContext) {
  const tracker = await startTracker({ port: 0, host: '127.0.0.1', registeredOnly: true, intervalSeconds: 60 });
  const folder = await mkdtemp(join(tmpdir(), 'haul-foreign-'));
  context.after(async () => {
    await tracker.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const info = { length: 40_000, name: 'data.bin', 'piece length': 32768, pieces: Buffer.alloc(40, 7) };
  const infoHash = createHash('sha1').update(encodeBencode(info)).digest();
  const url = `${tracker.url('127.0.0.1')}/announce`;
  const torrentPath = join(folder, 'data.torrent');
  await writeFile(torrentPath, encodeBencode({ announce: url, info }));
  tracker.register(infoHash);
  const counts = async () => (await scrapeHttp(url, [infoHash])).get(infoHash.toString('hex'))!;
  return { folder, torrentPath, counts };
}

/** Runs a client until the tracker counts it, ends it politely, and waits until the tracker has forgotten it. */
async function seenAndGone(
  context: TestContext,
  client: ChildProcess,
  counts: () => Promise<{ incomplete: number }>,
): Promise<void> {
  let errors = '';
  client.stderr?.setEncoding('utf8').on('data', (chunk) => {
    errors += chunk;
  });
  context.after(() => client.kill('SIGKILL'));
  const ended = new Promise<string>((resolve) => {
    client.once('error', (error) => resolve(String(error)));
    client.once('close', (code) => resolve(`ended with ${code}: ${errors}`));
  });
  const isOver = Promise.race([ended, delay(20_000, 'too slow', { ref: false })]);
  let over: string | undefined;
  isOver.then((reason) => {
    over = reason;
  });
  while ((await counts()).incomplete === 0) {
    assert.equal(over, undefined, 'the client was not seen');
    await delay(30);
  }
  client.kill('SIGINT');
  while ((await counts()).incomplete === 1) {
    if (over !== undefined) break;
    await delay(30);
  }
  await isOver;
  assert.equal((await counts()).incomplete, 0, 'the client said stopped and was forgotten');
}

test('aria2 announces to our tracker and says good-bye', async (context) => {
  if (await requirePrograms(context, ['aria2c'])) return;
  const { folder, torrentPath, counts } = await scene(context);
  const args = [
    '--no-conf',
    '--enable-dht=false',
    '--enable-dht6=false',
    '--bt-enable-lpd=false',
    '--enable-peer-exchange=false',
    '--disable-ipv6=true',
  ];
  const client = spawn('aria2c', [...args, '--listen-port=20000-60000', `--dir=${folder}`, '--quiet', torrentPath], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await seenAndGone(context, client, counts);
});

const LIBTORRENT = `
import libtorrent, signal, sys
session = libtorrent.session({
    'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False,
    'enable_upnp': False, 'enable_natpmp': False})
handle = session.add_torrent({'ti': libtorrent.torrent_info(sys.argv[1]), 'save_path': sys.argv[2]})
signal.signal(signal.SIGINT, lambda *_: None)
signal.pause()
session.remove_torrent(handle)
del handle, session
`;

test('libtorrent announces to our tracker and says good-bye', async (context) => {
  if (await requirePrograms(context, [DEBIAN_PYTHON])) return;
  const { folder, torrentPath, counts } = await scene(context);
  const client = spawn(DEBIAN_PYTHON, ['-c', LIBTORRENT, torrentPath, folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await seenAndGone(context, client, counts);
});
