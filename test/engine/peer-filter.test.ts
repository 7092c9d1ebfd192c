/** Who may be a peer, as the user's lists say: at the door, of dials from every source, and while it runs. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { until, withDeadline } from '../../lab/wait.js';
import { createEngine } from '../../src/engine/engine.js';
import { formatMagnet } from '../../src/magnet/link.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';
import { RawPeer } from '../support/raw-peer.js';

const DEADLINE_MS = 20_000;

/** Counts who comes to it. */
async function listenAt(scope: Scope, host: string): Promise<{ readonly port: number; count: number }> {
  const door = { port: 0, count: 0 };
  const server = net.createServer((socket) => {
    door.count++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  scope.defer(() => void server.close());
  door.port = (server.address() as net.AddressInfo).port;
  return door;
}

test('who is denied is refused at the door, and a download comes from who is allowed', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 300_000);
  const seed = await startSeed(scope, set, { peerFilter: { allow: ['127.0.0.0/8'], deny: ['127.0.0.2-127.0.0.9'] } });
  const knock = net.connect({ host: '127.0.0.1', port: seed.port!, localAddress: '127.0.0.2' });
  scope.defer(() => void knock.destroy());
  let heard = 0;
  knock.on('data', () => heard++).on('error', () => {});
  knock.write(Buffer.alloc(68));
  await withDeadline(new Promise((resolve) => knock.once('close', resolve)), 'it is refused', DEADLINE_MS);
  assert.equal(heard, 0);
  assert.deepEqual(seed.stats().peerFilter, { allowedRanges: 1, deniedRanges: 1, refused: 1 });
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
});

test('who is denied is not dialled, whether a tracker, a link or the user names it', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000);
  const denied = await listenAt(scope, '127.0.0.7');
  const tracker = await startTestTracker(scope);
  const peer = { host: '127.0.0.7', port: denied.port };
  tracker.pinned.push(peer);
  const warnings: string[] = [];
  const engine = await startEngine(scope, {
    peerFilter: { deny: ['127.0.0.7'] },
    log: (level, message) => void (level === 'warn' && warnings.push(message)),
  });
  const options = { output: await tempFolder(scope), trackers: [[tracker.url()]], peers: [peer] };
  const torrent = engine.add(set.metainfo, options);
  await until('the one named by hand has failed', DEADLINE_MS, () => torrent.sources().addresses.failed > 0);
  await until('the tracker has answered', DEADLINE_MS, () => torrent.sources().trackers[0]?.outcome === 'ok');
  assert.match(warnings.join(), /peer 127\.0\.0\.7:\d+: the list of peers that are allowed or denied keeps it out/);
  const other = await fileSet(scope, 90_000);
  const magnet = engine.add(
    formatMagnet({ infoHash: other.metainfo.infoHash, peers: [peer], trackers: [tracker.url()] }),
    {
      output: await tempFolder(scope),
    },
  );
  await until('the link was looked at', DEADLINE_MS, () => magnet.sources().trackers[0]?.outcome === 'ok');
  assert.equal(magnet.stats().knownAddresses, 0, 'it takes no place among the addresses either');
  assert.equal(denied.count, 0);
});

test('lists that change while it runs end connections at once, and let others in again', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000);
  const seed = await startSeed(scope, set);
  const come = async (): Promise<RawPeer> => {
    const socket = net.connect({ host: '127.0.0.1', port: seed.port!, localAddress: '127.0.0.3', noDelay: true });
    scope.defer(() => void socket.destroy());
    const peer = new RawPeer(socket, { port: seed.port!, metainfo: set.metainfo, peerId: '-XX0001-abcdefghijkl' });
    await until('it is a peer', DEADLINE_MS, () => seed.torrents[0]!.peers().length === 1);
    return peer;
  };
  const first = await come();
  assert.throws(() => seed.setPeerFilter({ deny: ['127.0.0.3', '127.0.0.3/40'] }), /deny\[1\]/);
  assert.throws(() => seed.setPeerFilter({ denied: [] } as never), { code: 'BAD_ARGUMENT' });
  assert.equal(seed.stats().connections, 1, 'a bad list changes nothing');
  seed.setPeerFilter({ deny: ['127.0.0.3'] });
  await withDeadline(first.closed, 'it is cut off', DEADLINE_MS);
  await until('it is gone', DEADLINE_MS, () => seed.stats().connections === 0);
  seed.setPeerFilter(null);
  await come();
  assert.equal(seed.stats().peerFilter, null);
});

test('a list with a fault opens no engine', async () => {
  await assert.rejects(createEngine({ port: 0, peerFilter: { allow: ['localhost'] } }), {
    code: 'BAD_ARGUMENT',
    message: /allow\[0\] is "localhost"/,
  });
  await assert.rejects(createEngine({ port: 0, peerFilter: 'x' as never }), { code: 'BAD_ARGUMENT' });
});
