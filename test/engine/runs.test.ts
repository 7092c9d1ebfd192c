/**
 * Runs: requests for several blocks in a row, between two that know them (`haul_request_bytes` in the extension
 * handshake).
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import {
  writeCancel,
  writeExtended,
  writeInterested,
  writePieceHeader,
  writeRequest,
  writeUnchoke,
} from '../../src/wire/encoder.js';
import { encodeExtendedHandshake } from '../../src/wire/extensions.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';
import { connectRawPeer, eventNumbers, type RawPeer } from '../support/raw-peer.js';
import { startScriptedSeed } from '../support/scripted-seed.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const BLOCK_BYTES = 16 * KIB;
const DEADLINE_MS = 20_000;

function sayRuns(peer: RawPeer, requestBytes: number): void {
  writeExtended(peer.out, 0, encodeExtendedHandshake({ m: {}, version: 'test', reqq: 2000, requestBytes }));
}

/** A seed and a peer that it has unchoked. */
async function served(scope: Scope, options: { saysRuns: boolean; uploadBytesPerSec?: number }) {
  const set = await fileSet(scope, 3 * MIB, { pieceLengthBytes: MIB });
  const { uploadBytesPerSec } = options;
  const seed = await startSeed(scope, set, uploadBytesPerSec === undefined ? {} : { uploadBytesPerSec });
  const said: string[] = [];
  seed.torrents[0]!.on('peer', (_, change, reason) => said.push(`${change} ${reason}`));
  const identity = { peerId: '-XX0001-asksforruns!', fast: true, extended: true };
  const peer = await connectRawPeer(scope, { port: seed.port!, metainfo: set.metainfo, ...identity });
  if (options.saysRuns) sayRuns(peer, 64 * KIB);
  writeInterested(peer.out);
  peer.flush();
  await peer.event('unchoke');
  return { peer, said };
}

function ask(peer: RawPeer, piece: number, begin: number, length: number): void {
  writeRequest(peer.out, piece, begin, length);
  peer.flush();
}

test('a request of 256 KiB is answered by one message, for a peer that has said that it knows runs', async (t) => {
  const { peer } = await served(openScope(t), { saysRuns: true });
  ask(peer, 1, 256 * KIB, 256 * KIB);
  await peer.event(`block 1 ${256 * KIB} ${256 * KIB}`);
});

for (const [what, saysRuns, begin, length] of [
  ['from a peer that said nothing of runs', false, 0, 256 * KIB],
  ['longer than the longest', true, 0, 256 * KIB + BLOCK_BYTES],
  ['that begins inside a block', true, 5, 256 * KIB],
  ['that ends inside a block', true, 0, 256 * KIB - 1],
  ['beyond the end of the piece', true, MIB - 128 * KIB, 256 * KIB],
] as const) {
  test(`a long request ${what} ends the connection`, async (t) => {
    const { peer, said } = await served(openScope(t), { saysRuns });
    ask(peer, 0, begin, length);
    await withDeadline(peer.closed, 'it is cut off', DEADLINE_MS);
    await until('the reason is told', DEADLINE_MS, () => said.some((line) => line.includes('does not exist')));
  });
}

test('of a run the blocks that are cancelled in time are not sent, the others are', async (t) => {
  const { peer } = await served(openScope(t), { saysRuns: true, uploadBytesPerSec: 256 * KIB });
  // The first one puts the limit into debt: what follows waits.
  ask(peer, 0, 0, 256 * KIB);
  writeRequest(peer.out, 2, 0, 128 * KIB);
  for (const block of [2, 3, 7, 7]) writeCancel(peer.out, 2, block * BLOCK_BYTES, BLOCK_BYTES);
  peer.flush();
  await peer.event(`block 2 ${4 * BLOCK_BYTES} ${3 * BLOCK_BYTES}`);
  const isOfPiece = (event: string): boolean => /^(block|reject) 2 /.test(event);
  const events = peer.recorder.events.filter(isOfPiece).map((event) => event.split(' ').slice(0, 4).join(' '));
  assert.deepEqual(events, [
    `reject 2 ${2 * BLOCK_BYTES} ${BLOCK_BYTES}`,
    `reject 2 ${3 * BLOCK_BYTES} ${BLOCK_BYTES}`,
    `reject 2 ${7 * BLOCK_BYTES} ${BLOCK_BYTES}`,
    `block 2 0 ${2 * BLOCK_BYTES}`,
    `block 2 ${4 * BLOCK_BYTES} ${3 * BLOCK_BYTES}`,
  ]);
});

/** A download from a scripted seed that says that it serves runs of so many bytes. */
async function download(scope: Scope, cutRun = Number.NaN, requestBytes = 64 * KIB, pieceLengthBytes = 256 * KIB) {
  const set = await fileSet(scope, 8 * MIB - 5000, { pieceLengthBytes });
  const bytes = await readFile(set.path);
  const lengths: number[] = [];
  let runs = 0;
  let isCut = false;
  const seed = await startScriptedSeed(scope, {
    metainfo: set.metainfo,
    bytes,
    extended: true,
    greet: (peer) => {
      sayRuns(peer, requestBytes);
      writeUnchoke(peer.out);
    },
    answer: (piece, begin, good, peer) => {
      lengths.push(good.length);
      if (isCut) return null;
      if (good.length <= BLOCK_BYTES || ++runs !== cutRun) return good;
      isCut = true;
      writePieceHeader(peer.out, piece, begin, good.length);
      peer.flush();
      peer.sendBytes(good.subarray(0, 2.5 * BLOCK_BYTES));
      return null;
    },
  });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  torrent.addPeer('127.0.0.1', seed.port);
  return { set, seed, torrent, lengths };
}

test('a leech asks in runs once its queue is deep, never beyond what the peer serves, and ends whole', async (t) => {
  const { set, torrent, lengths, seed } = await download(openScope(t));
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), await readTree(set.path));
  assert.ok(lengths.slice(0, 8).every((length) => length === BLOCK_BYTES));
  assert.ok(lengths.filter((length) => length === 64 * KIB).length > 50, `${lengths}`);
  assert.ok(Math.max(...lengths) === 64 * KIB);
  assert.equal(seed.peers.length, 1);
  const { downloadedBytes, wastedBytes } = torrent.stats();
  assert.equal(downloadedBytes, set.metainfo.geometry.lengthBytes);
  assert.equal(wastedBytes, 0);
  // It says itself what it serves.
  const hello = seed.peers[0]!.recorder.events.find((event) => event.startsWith('extended 0 '))!;
  const payload = Buffer.from(hello.split(' ').at(-1)!, 'hex').toString('latin1');
  assert.ok(payload.includes(`18:haul_request_bytesi${LIMITS.runBytes}e`), payload);
});

for (const [says, longest] of [
  [3 * BLOCK_BYTES + 5, 2 * BLOCK_BYTES],
  [16 * MIB, LIMITS.runBytes],
] as const) {
  test(`of a peer that says that it serves ${says} bytes, runs of ${longest} are asked for`, async (t) => {
    const { torrent, lengths } = await download(openScope(t), Number.NaN, says, MIB);
    await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
    assert.equal(Math.max(...lengths), longest);
  });
}

test('of a run that ends in the middle of a block all blocks before it count, and are not fetched again', async (t) => {
  const scope = openScope(t);
  const { set, torrent, lengths, seed } = await download(scope, 9);
  const sentBytes = (): number => {
    const runs = lengths.findIndex((_, at) => lengths.slice(0, at + 1).filter((one) => one > BLOCK_BYTES).length === 9);
    return lengths.slice(0, runs).reduce((sum, length) => sum + length, 0) + 2 * BLOCK_BYTES;
  };
  await until(
    'what came is counted',
    DEADLINE_MS,
    () => lengths.includes(64 * KIB) && torrent.stats().downloadedBytes === sentBytes(),
  );
  await seed.close();
  const other = await startSeed(scope, set);
  torrent.addPeer('127.0.0.1', other.port!);
  await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(torrent.output, 'image.bin')), await readTree(set.path));
  assert.equal(torrent.stats().downloadedBytes, set.metainfo.geometry.lengthBytes);
});

test('a run from a peer that never said that it serves them ends the connection', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, MIB, { pieceLengthBytes: 256 * KIB });
  const bytes = await readFile(set.path);
  const answer = (piece: number, begin: number): Buffer =>
    bytes.subarray(piece * 256 * KIB + begin).subarray(0, 2 * BLOCK_BYTES);
  const seed = await startScriptedSeed(scope, { metainfo: set.metainfo, bytes, answer });
  const leech = await startEngine(scope);
  const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [] });
  const said: string[] = [];
  torrent.on('peer', (_, change, reason) => said.push(`${change} ${reason}`));
  torrent.addPeer('127.0.0.1', seed.port);
  // The very first: one that reaches beyond its piece would be refused in any case.
  const reason = `sent a block that does not exist: piece \\d+, begin 0, length ${2 * BLOCK_BYTES}`;
  await until('it is cut off', DEADLINE_MS, () => said.some((line) => new RegExp(reason).test(line)));
  assert.equal(
    eventNumbers(seed.peers[0]!.recorder.events.find((event) => event.startsWith('request '))!)[2],
    BLOCK_BYTES,
  );
});
