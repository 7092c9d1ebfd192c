/** Super-seeding with real engines and sockets, and with a peer that asks for what it was not shown. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import type { Engine, Torrent } from '../../src/api.js';
import { writeInterested, writeRequest } from '../../src/wire/encoder.js';
import { type DataSet, fileSet, startEngine } from '../support/engines.js';
import { connectRawPeer, eventNumbers } from '../support/raw-peer.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const BLOCK_BYTES = 16 * 1024;

async function startSuperSeed(scope: Scope, set: DataSet): Promise<{ engine: Engine; torrent: Torrent }> {
  const engine = await startEngine(scope);
  const options = { output: set.folder, mode: 'seed', trustData: true, trackers: [], superSeeding: true } as const;
  const torrent = engine.add(set.metainfo, options);
  await torrent.done;
  return { engine, torrent };
}

test('four leeches complete from a super-seed that sends little more than one copy', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 16 * MIB + 12_345, { pieceLengthBytes: PIECE_BYTES });
  const { engine: seed, torrent: seeding } = await startSuperSeed(scope, set);
  const spread = once(seeding as unknown as NodeJS.EventEmitter, 'spread');
  assert.equal(seeding.stats().superSeeding, true);
  const leeches = await Promise.all(Array.from({ length: 4 }, () => startEngine(scope, { uploadSlots: 'unlimited' })));
  const ports = [seed.port!, ...leeches.map((leech) => leech.port!)];
  const torrents = await Promise.all(
    leeches.map(async (leech) => {
      const peers = ports.filter((port) => port !== leech.port).map((port) => ({ host: '127.0.0.1', port }));
      return leech.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [] });
    }),
  );
  await Promise.all(torrents.map((torrent) => torrent.done));
  await spread;
  const { uploadedBytes, lengthBytes, superSeeding } = seeding.stats();
  assert.equal(superSeeding, false);
  assert.ok(uploadedBytes <= 1.5 * lengthBytes, `${(uploadedBytes / lengthBytes).toFixed(2)} copies left the seed`);
  const original = await readTree(set.path);
  for (const torrent of torrents) assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), original);
});

test('leeches that cannot reach each other complete from a super-seed', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 4 * MIB, { pieceLengthBytes: PIECE_BYTES });
  const { engine: seed } = await startSuperSeed(scope, set);
  const torrents = await Promise.all(
    [1, 2].map(async () => {
      const leech = await startEngine(scope, { port: false });
      const peers = [{ host: '127.0.0.1', port: seed.port! }];
      return leech.add(set.metainfo, { output: await tempFolder(scope), peers, trackers: [] });
    }),
  );
  await Promise.all(torrents.map((torrent) => torrent.done));
});

for (const fast of [true, false]) {
  test(`a super-seed says it has nothing, serves what it reveals, not the rest${fast ? ' (BEP 6)' : ''}`, async (t) => {
    const scope = openScope(t);
    const set = await fileSet(scope, 1 * MIB, { pieceLengthBytes: PIECE_BYTES });
    const { engine: seed } = await startSuperSeed(scope, set);
    const options = { port: seed.port!, metainfo: set.metainfo, peerId: '-RW0001-supersupersu', fast };
    const peer = await connectRawPeer(scope, options);
    if (fast) assert.equal(await peer.event('have'), 'have none');
    writeInterested(peer.out);
    peer.flush();
    await peer.event('unchoke');
    const shown = (): number[] =>
      peer.recorder.events.filter((event) => /^have \d/.test(event)).flatMap((event) => eventNumbers(event));
    writeRequest(peer.out, shown()[0]!, 0, BLOCK_BYTES);
    peer.flush();
    await peer.event(`block ${shown()[0]} 0 ${BLOCK_BYTES}`);
    assert.equal(shown().length, 2, 'the window of an unchoked peer');
    const hidden = [0, 1, 2].find((piece) => !shown().includes(piece))!;
    writeRequest(peer.out, hidden, 0, BLOCK_BYTES);
    writeRequest(peer.out, shown()[1]!, 0, BLOCK_BYTES);
    peer.flush();
    await peer.event(`block ${shown()[1]} 0 ${BLOCK_BYTES}`);
    const { events } = peer.recorder;
    const rejects = events.filter((event) => event.startsWith('reject'));
    assert.deepEqual(rejects, fast ? [`reject ${hidden} 0 ${BLOCK_BYTES}`] : []);
    assert.equal(events.filter((event) => /^block \d/.test(event)).length, 2);
    assert.ok(!events.some((event) => event === 'have all' || event.startsWith('bitfield')));
  });
}
