/** Real clients announce to our tracker: aria2, libtorrent, transmission and that of webtorrent. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { type EventEmitter, once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../lab/ports.js';
import { scrapeHttp } from '../../src/discovery/http-tracker.js';
import { encodeBencode } from '../../src/metainfo/bencode.js';
import { startTracker } from '../../src/tracker/server.js';
import { DEBIAN_PYTHON } from '../support/clients/libtorrent.js';
import { requirePrograms } from '../support/requirements.js';

/** A tracker for one small torrent whose data nobody has, with its .torrent file in a folder of its own. */
async function scene(context: TestContext, scheme: 'http' | 'udp' = 'http') {
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
  const announce = url.replace('http:', `${scheme}:`);
  await writeFile(torrentPath, encodeBencode({ announce, info }));
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
  // Some end when they are told that they may.
  client.stdin?.end();
  await isOver;
  assert.equal((await counts()).incomplete, 0, 'the client said stopped and was forgotten');
}

for (const scheme of ['http', 'udp'] as const) {
  test(`aria2 announces to our tracker by ${scheme} and says good-bye`, async (context) => {
    if (await requirePrograms(context, ['aria2c'])) return;
    const { folder, torrentPath, counts } = await scene(context, scheme);
    const args = [
      '--no-conf',
      // It asks UDP trackers through the socket of its DHT only.
      `--enable-dht=${scheme === 'udp'}`,
      `--dht-file-path=${join(folder, 'dht.dat')}`,
      '--dht-listen-port=20000-60000',
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
}

const LIBTORRENT = `
import libtorrent, signal, sys
session = libtorrent.session({
    'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False,
    'enable_upnp': False, 'enable_natpmp': False})
handle = session.add_torrent({'ti': libtorrent.torrent_info(sys.argv[1]), 'save_path': sys.argv[2]})
signal.signal(signal.SIGINT, lambda *_: None)
signal.pause()
session.remove_torrent(handle)
# By UDP it does not wait for its own goodbye: that was heard when this ends.
sys.stdin.read()
del handle, session
`;

for (const scheme of ['http', 'udp'] as const) {
  test(`libtorrent announces to our tracker by ${scheme} and says good-bye`, async (context) => {
    if (await requirePrograms(context, [DEBIAN_PYTHON])) return;
    const { folder, torrentPath, counts } = await scene(context, scheme);
    const client = spawn(DEBIAN_PYTHON, ['-c', LIBTORRENT, torrentPath, folder], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    await seenAndGone(context, client, counts);
  });
}

test('transmission announces to our tracker by udp and says good-bye', async (context) => {
  if (await requirePrograms(context, ['transmission-cli'])) return;
  const { folder, torrentPath, counts } = await scene(context, 'udp');
  const port = String(await freePort('127.0.0.1'));
  const args = ['--config-dir', join(folder, 'config'), '--download-dir', folder, '--port', port, '--no-portmap'];
  const client = spawn('transmission-cli', [...args, torrentPath], { stdio: ['ignore', 'ignore', 'pipe'] });
  await seenAndGone(context, client, counts);
});

test("webtorrent's tracker client announces to our tracker by udp and says good-bye", async (context) => {
  // It brings no types.
  const name = 'bittorrent-tracker';
  const { default: Client } = (await import(name)) as {
    default: new (options: object) => EventEmitter & { start(): void; stop(): void; destroy(): void };
  };
  const tracker = await startTracker({ port: 0, host: '127.0.0.1', intervalSeconds: 60 });
  context.after(() => tracker.close());
  const infoHash = Buffer.alloc(20, 3);
  const announce = [`udp://127.0.0.1:${tracker.port}/announce`];
  const client = new Client({ infoHash, peerId: Buffer.from('-WW0109-0123456789ab'), announce, port: 6881 });
  context.after(() => client.destroy());
  const updates: { complete: number; incomplete: number }[] = [];
  client.on('update', (update: { complete: number; incomplete: number }) => updates.push(update));
  client.start();
  await once(client, 'update');
  assert.equal(updates[0]!.incomplete, 1);
  client.stop();
  await once(client, 'update');
  assert.equal(tracker.stats().peers, 0);
});
