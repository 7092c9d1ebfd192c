/**
 * Sources that give bad data: asked again where there is no other, convicted by content where there is, told about it,
 * and the user too.
 */
import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { HaulError } from '../../src/errors.js';
import { fileSet, liveOf, startEngine, startSeed } from '../support/engines.js';
import { spoilt, startScriptedSeed } from '../support/scripted-seed.js';

const DEADLINE_MS = 30_000;
const PIECE_BYTES = 64 * 1024;

async function scene(t: Parameters<typeof openScope>[0], pieces = 8) {
  const scope = openScope(t);
  const set = await fileSet(scope, pieces * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const bytes = await readFile(set.path);
  const output = await tempFolder(scope);
  return { scope, set, bytes, output };
}

test('one bad byte on the way from the only seed costs one piece, not the download', async (t) => {
  const { scope, set, bytes, output } = await scene(t);
  let isSpoilt = false;
  const seed = await startScriptedSeed(scope, {
    metainfo: set.metainfo,
    bytes,
    answer: (piece, _, good) => {
      if (piece !== 5 || isSpoilt) return good;
      isSpoilt = true;
      return spoilt(good);
    },
  });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output, trackers: [], peers: [seed] });
  const said: string[] = [];
  torrent.on('peer', (_, change) => said.push(change));
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
  assert.equal(torrent.stats().corruptBytes, PIECE_BYTES);
  assert.ok(!said.includes('banned'));
});

test('a piece that is bad at the only source is asked for ever more seldom; the user hears which', async (t) => {
  const { scope, set, bytes, output } = await scene(t);
  let isRepaired = false;
  const seed = await startScriptedSeed(scope, {
    metainfo: set.metainfo,
    bytes,
    answer: (piece, begin, good) => (piece === 5 && begin === 0 && !isRepaired ? spoilt(good) : good),
  });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output, trackers: [], peers: [seed] });
  const warnings: HaulError[] = [];
  torrent.on('warning', (error) => warnings.push(error));
  await until('it is warned', DEADLINE_MS, () => warnings.length > 0);
  assert.equal(warnings[0]!.code, 'BAD_DATA');
  assert.deepEqual(warnings[0]!.facts, { address: `127.0.0.1:${seed.port}`, piece: 5, copies: 3, pauseMs: 2000 });
  await until('the rest is there', DEADLINE_MS, () => torrent.stats().verifiedPieces === 7);
  assert.equal(seed.requests.filter((request) => request === '5:0').length, 3);
  assert.equal(torrent.stats().peers, 1);
  isRepaired = true;
  await withDeadline(torrent.done, 'it is asked again and gives good data', DEADLINE_MS);
});

test('where another program wrote into our file, bad data convicts nobody and is not fetched at once', async (t) => {
  const { scope, set, bytes, output } = await scene(t);
  let isRepaired = false;
  const seed = await startScriptedSeed(scope, {
    metainfo: set.metainfo,
    bytes,
    answer: (piece, begin, good) => (piece === 5 && begin === 0 && !isRepaired ? spoilt(good) : good),
  });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output, trackers: [] });
  const warnings: HaulError[] = [];
  torrent.on('warning', (error) => warnings.push(error));
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  const { storage } = (liveOf(torrent) as unknown as { exchange: { storage: { hasOtherWriter(): boolean } } }).exchange;
  storage.hasOtherWriter = () => true;
  torrent.addPeer(seed.host, seed.port);
  const copies = (): number => seed.requests.filter((request) => request === '5:0').length;
  await until('it is warned, or goes on and on', DEADLINE_MS, () => warnings.length > 0 || copies() > 20);
  assert.match(warnings[0]!.message, /its copy is bad, or another program spoils it here/);
  assert.equal(copies(), 3);
  isRepaired = true;
  await withDeadline(torrent.done, 'it is asked again and gives good data', DEADLINE_MS);
});

test('a seed told of its bad copy hashes it, serves it no more and says so; another source completes it', async (t) => {
  const { scope, set, output } = await scene(t);
  const rotten = await startSeed(scope, set);
  const rot = await open(set.path, 'r+');
  const good = await readFile(set.path);
  await rot.write(Buffer.from([good[5 * PIECE_BYTES]! ^ 1]), 0, 1, 5 * PIECE_BYTES);
  await rot.close();
  const seeding = rotten.torrents[0]!;
  const said: string[] = [];
  seeding.on('warning', (error) => said.push(`${error.code} ${error.message}`));
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, {
    output,
    trackers: [],
    peers: [{ host: '127.0.0.1', port: rotten.port! }],
  });
  await until('the seed knows', DEADLINE_MS, () => seeding.stats().badPieces === 1);
  assert.equal(seeding.stats().verifiedPieces, 7);
  assert.ok(seeding.stats().health.some(({ code, facts }) => code === 'bad-pieces' && facts.badPieces === 1));
  assert.match(said.join(), /^BAD_DATA .*piece 5 on disk is bad/);
  await until('the rest is there', DEADLINE_MS, () => torrent.stats().verifiedPieces === 7);
  await until('the leech heard of it', DEADLINE_MS, () => torrent.stats().seeds === 0);
  const other = await startScriptedSeed(scope, { metainfo: set.metainfo, bytes: good });
  torrent.addPeer('127.0.0.1', other.port);
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readFile(path.join(output, 'image.bin')), good);
});

test('a false complaint about a good piece changes nothing', async (t) => {
  const { scope, set, output } = await scene(t);
  const seed = await startSeed(scope, set);
  const torrent = seed.torrents[0]!;
  const { doubts } = liveOf(torrent) as unknown as { doubts: { pieceDoubted(piece: number, host: string): void } };
  for (let time = 0; time < 100; time++) doubts.pieceDoubted(time % 8, '127.0.0.1');
  const leech = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: seed.port! }];
  await withDeadline(leech.add(set.metainfo, { output, trackers: [], peers }).done, 'it ends', DEADLINE_MS);
  assert.equal(torrent.stats().badPieces, 0);
  assert.equal(torrent.stats().verifiedPieces, 8);
});

test('bad peers at the address of a peer that the user named do not shut it out', async (t) => {
  const { scope, set, bytes, output } = await scene(t, 32);
  const liars = await Promise.all(
    [1, 2, 3, 4].map((n) =>
      startScriptedSeed(scope, {
        metainfo: set.metainfo,
        bytes,
        peerId: `-XX0001-liarliar000${n}`,
        answer: (_, __, good) => spoilt(good),
      }),
    ),
  );
  const honest = await startScriptedSeed(scope, {
    metainfo: set.metainfo,
    bytes,
    host: '127.0.0.2',
    pieceCount: 31,
  });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output, trackers: [] });
  await until('it takes peers', DEADLINE_MS, () => torrent.state === 'downloading');
  type Finds = { roster: { add(addresses: readonly unknown[], foundBy: string): void } };
  const { roster } = liveOf(torrent) as unknown as Finds;
  const banned = new Set<string>();
  torrent.on('peer', (address, change) => change === 'banned' && banned.add(address));
  roster.add(
    liars.map(({ port }) => ({ host: '127.0.0.1', port })),
    'tracker',
  );
  await until('each has lied', DEADLINE_MS, () => liars.every(({ requests }) => requests.length >= 8));
  torrent.addPeer(honest.host, honest.port);
  await until('several of that host are banned', DEADLINE_MS, () => banned.size >= 3);
  await liars[0]!.close();
  const named = await startScriptedSeed(scope, { metainfo: set.metainfo, bytes, peerId: '-XX0001-honesthonest' });
  torrent.addPeer(named.host, named.port);
  await until(
    'the named peer is there',
    DEADLINE_MS,
    () => torrent.peers().some(({ address }) => address === `127.0.0.1:${named.port}`) || torrent.state === 'seeding',
  );
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
});
