/** Who wants nothing any more says so (BEP 21), also to those it was connected to before, and is let go by seeds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { AddOptions, Engine } from '../../src/api.js';
import { writeExtended } from '../../src/wire/encoder.js';
import { encodeExtendedHandshake, parseExtendedHandshake } from '../../src/wire/extensions.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';
import { connectRawPeer, type RawPeer } from '../support/raw-peer.js';

const DEADLINE_MS = 20_000;
const at = (engine: Engine) => ({ host: '127.0.0.1', port: engine.port! });

/** What each handshake of BEP 10 said of it so far. */
function saidTo(peer: RawPeer): (boolean | null)[] {
  const handshakes = peer.recorder.events.filter((event) => event.startsWith('extended 0 '));
  return handshakes.map((event) => {
    const said = parseExtendedHandshake(Buffer.from(event.split(' ')[2]!, 'hex'));
    assert.ok(!('code' in said));
    return said.uploadOnly;
  });
}

function rawPeer(scope: Scope, set: DataSet, engine: Engine, peerId: string): Promise<RawPeer> {
  return connectRawPeer(scope, { port: engine.port!, metainfo: set.metainfo, peerId, fast: true, extended: true });
}

async function leech(scope: Scope, set: DataSet, options: Partial<AddOptions>) {
  const engine = await startEngine(scope);
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [], ...options });
  await until('it takes peers', DEADLINE_MS, () => torrent.state !== 'preparing' && torrent.state !== 'checking');
  return { engine, torrent };
}

test('a leech that becomes complete says so to those who are connected, once; a seed says so at once', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 500_000, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set);
  const { engine, torrent } = await leech(scope, set, {});
  const early = await rawPeer(scope, set, engine, '-TE0000-earlyearly00');
  await early.event('extended 0 ');
  assert.deepEqual(saidTo(early), [null]);
  torrent.addPeer('127.0.0.1', seed.port!);
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  await until('it is told', DEADLINE_MS, () => saidTo(early).length > 1);
  const late = await rawPeer(scope, set, engine, '-TE0000-latelatelate');
  await late.event('extended 0 ');
  await until('a while', DEADLINE_MS, () => torrent.peers().length >= 2);
  assert.deepEqual([saidTo(early), saidTo(late)], [[null, true], [true]]);
});

test('a seed lets an upload-only peer go and does not dial it again; a leech keeps it', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 500_000, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set);
  const { engine } = await leech(scope, set, {});
  const say = (peer: RawPeer, uploadOnly: boolean): void => {
    const payload = encodeExtendedHandshake({ m: {}, version: 'x', reqq: 1, uploadOnly });
    writeExtended(peer.out, 0, payload);
    peer.flush();
  };
  const kept = await rawPeer(scope, set, engine, '-TE0000-keptkeptkept');
  say(kept, true);
  const first = await rawPeer(scope, set, seed, '-TE0000-firstfirst00');
  say(first, false);
  const gone = await rawPeer(scope, set, seed, '-TE0000-gonegonegone');
  say(gone, true);
  await withDeadline(gone.closed, 'it is let go', DEADLINE_MS);
  // It has had enough, and says so later.
  await until('the first one stays', DEADLINE_MS, () => seed.torrents[0]!.peers().length === 1);
  say(first, true);
  await withDeadline(first.closed, 'it is let go too', DEADLINE_MS);
  assert.equal(engine.torrents[0]!.peers().length, 1);
});

test('two that have all they want, of different files, part, and meet again when one wants more', async (t) => {
  const scope = openScope(t);
  const files = ['a', 'b'].map((name) => ({ path: `${name}.bin`, lengthBytes: 4 * 65_536 }));
  const set = await treeSet(scope, files, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, set);
  const only =
    (name: string) =>
    ({ path }: { path: readonly string[] }) =>
      path.at(-1) === `${name}.bin` ? 'normal' : 'skip';
  const one = await leech(scope, set, { peers: [at(seed)], priorities: only('a') });
  const two = await leech(scope, set, { peers: [at(seed)], priorities: only('b') });
  await withDeadline(Promise.all([one.torrent.done, two.torrent.done]), 'both have their file', DEADLINE_MS);
  await seed.close();
  one.torrent.addPeer('127.0.0.1', two.engine.port!);
  const partings: string[] = [];
  one.torrent.on('peer', (_address, change, reason) => change === 'disconnected' && partings.push(reason));
  await until('they part', DEADLINE_MS, () => partings.length > 0 && two.torrent.peers().length === 0);
  // Of the other file they have something for each other.
  await one.torrent.setPriorities(() => 'normal');
  one.torrent.addPeer('127.0.0.1', two.engine.port!);
  await until(
    'the other file comes',
    DEADLINE_MS,
    () => one.torrent.stats().verifiedBytes === set.metainfo.geometry.lengthBytes,
  );
});
