/** The DHT of engines: on loopback, from the first node to a download without any tracker. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { sha256Tree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { DhtOptions, Engine } from '../../src/api.js';
import { DHT_LIMITS } from '../../src/dht/limits.js';
import { decodeNodeRecord, encodeNodeRecord, NO_NODES } from '../../src/dht/node-record.js';
import { createEngine } from '../../src/engine/engine.js';
import { HaulError } from '../../src/errors.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';

const DEADLINE_MS = 60_000;

function dhtNode(engine: Engine, host = '127.0.0.1'): { host: string; port: number } {
  return { host, port: engine.stats().dht!.port };
}

async function dhtEngine(scope: Scope, dht: DhtOptions, host = '127.0.0.1'): Promise<Engine> {
  return startEngine(scope, { dht, host });
}

for (const host of ['127.0.0.1', '::1']) {
  test(`a torrent without trackers is found over ${host} by who knows one node`, async (t) => {
    const scope = openScope(t);
    const first = await dhtEngine(scope, {}, host);
    const nodes = [dhtNode(first, host)];
    const set = await fileSet(scope, 300_000, { pieceLengthBytes: 65_536 });
    await startSeed(scope, set, { host, dht: { nodes } });
    await until('the seed is announced', DEADLINE_MS, () => first.stats().dht!.storedPeers > 0);
    const leech = await dhtEngine(scope, { nodes, readOnly: true }, host);
    const output = await tempFolder(scope);
    const torrent = leech.add(set.metainfo, { output });
    await withDeadline(torrent.done, 'the download ends', DEADLINE_MS);
    assert.equal(await sha256Tree(path.join(output, 'image.bin')), await sha256Tree(set.path));
    assert.ok(first.stats().dht!.nodes >= 1);
    assert.equal(torrent.sources().addresses.dialled, 1);
    assert.ok(!torrent.stats().health.some(({ code }) => code === 'no-trackers'));
  });
}

test('a magnet link without trackers is enough where the DHT is on', async (t) => {
  const scope = openScope(t);
  const first = await dhtEngine(scope, {});
  const nodes = [dhtNode(first)];
  const set = await fileSet(scope, 300_000, { pieceLengthBytes: 65_536 });
  await startSeed(scope, set, { dht: { nodes } });
  await until('the seed is announced', DEADLINE_MS, () => first.stats().dht!.storedPeers > 0);
  const leech = await dhtEngine(scope, { nodes });
  const output = await tempFolder(scope);
  const magnet = leech.add(`magnet:?xt=urn:btih:${set.metainfo.infoHashHex}`, { output });
  await withDeadline(magnet.done, 'the download ends', DEADLINE_MS);
  assert.equal(await sha256Tree(path.join(output, 'image.bin')), await sha256Tree(set.path));
});

test('a private torrent is neither announced nor looked for', async (t) => {
  const scope = openScope(t);
  const first = await dhtEngine(scope, {});
  const nodes = [dhtNode(first)];
  const isPrivate = await fileSet(scope, 100_000, { pieceLengthBytes: 65_536, isPrivate: true });
  const isPublic = await fileSet(scope, 100_001, { pieceLengthBytes: 65_536 });
  const seed = await startSeed(scope, isPrivate, { dht: { nodes } });
  await seed.add(isPublic.metainfo, { output: isPublic.folder, mode: 'seed', trustData: true, trackers: [] }).done;
  await until('the public one is announced', DEADLINE_MS, () => first.stats().dht!.storedPeers > 0);
  assert.equal(first.stats().dht!.storedPeers, 1);
});

test('without the option there is no DHT, and what the option may be is checked', async (t) => {
  const scope = openScope(t);
  const engine = await startEngine(scope);
  assert.equal(engine.stats().dht, null);
  const bad: unknown[] = [true, [], null, { port: -1 }, { nodes: [{ host: 'a', port: 0 }] }, { readOnly: 1 }, { x: 1 }];
  bad.push({ nodes: Array.from({ length: 65 }, () => ({ host: '127.0.0.1', port: 1 })) });
  for (const dht of bad) {
    await assert.rejects(
      createEngine({ port: 0, dht: dht as DhtOptions }),
      (error: HaulError) => error.code === 'BAD_ARGUMENT' && error.message.includes('dht'),
      JSON.stringify(dht),
    );
  }
});

test('a UDP port that somebody has is an error where it was asked for, and else another one is taken', async (t) => {
  const scope = openScope(t);
  const taken = createSocket('udp4').bind(0, '127.0.0.1');
  scope.defer(() => new Promise<void>((resolve) => taken.close(() => resolve())));
  await once(taken, 'listening');
  const { port } = taken.address();
  await assert.rejects(
    createEngine({ port: 0, host: '127.0.0.1', dht: { port } }),
    (error: HaulError) => error instanceof HaulError && error.code === 'PORT_IN_USE',
  );
  const engine = await startEngine(scope, { port, dht: {} });
  assert.equal(engine.port, port);
  assert.notEqual(engine.stats().dht!.port, port);
});

test('nodes are kept over a restart, for the owner alone, and whatever is in the file does no harm', async (t) => {
  const scope = openScope(t);
  const stateFile = path.join(await tempFolder(scope), 'state', 'nodes');
  const first = await dhtEngine(scope, {});
  const second = await dhtEngine(scope, { nodes: [dhtNode(first)], stateFile });
  await until('they know each other', DEADLINE_MS, () => second.stats().dht!.nodes > 0);
  await second.close();
  assert.equal((await stat(stateFile)).mode & 0o777, 0o600);
  assert.equal(decodeNodeRecord(await readFile(stateFile))?.[4].nodes.length, 1);
  const third = await dhtEngine(scope, { stateFile });
  await until('it is there again', DEADLINE_MS, () => third.stats().dht!.nodes > 0);
  await third.close();
  const whole = await readFile(stateFile);
  for (const bytes of [
    Buffer.alloc(0),
    whole.subarray(0, 30),
    Buffer.alloc(100_000, 'd'),
    Buffer.from('d6:formati1ee'),
  ]) {
    await writeFile(stateFile, bytes);
    const engine = await dhtEngine(scope, { stateFile });
    assert.equal(engine.stats().dht!.nodes, 0);
    await engine.close();
  }
  const elsewhere = path.join(path.dirname(stateFile), 'mine');
  await writeFile(elsewhere, 'not to be touched');
  await symlink(elsewhere, `${stateFile}.${process.pid}.tmp`);
  const last = await dhtEngine(scope, { nodes: [dhtNode(first)], stateFile });
  await until('it knows one', DEADLINE_MS, () => last.stats().dht!.nodes > 0);
  await last.close();
  assert.equal(await readFile(elsewhere, 'utf8'), 'not to be touched');
  assert.equal(decodeNodeRecord(await readFile(stateFile))?.[4].nodes.length, 1);
});

test('a record of nodes says what it was told, and nothing of what it may not', () => {
  const at = (host: string, port: number) => ({ id: Buffer.alloc(20, 3), address: { host, port } });
  const record = {
    4: { nodes: [at('8.8.8.8', 1), at('9.9.9.9', 0), at('224.0.0.1', 5)], ownHost: '7.7.7.7' },
    6: { nodes: [at('2a00::1', 1)], ownHost: null },
  };
  const read = decodeNodeRecord(encodeNodeRecord(record));
  assert.deepEqual(read, { 4: { nodes: [at('8.8.8.8', 1)], ownHost: '7.7.7.7' }, 6: record[6] });
  const lying = { ...NO_NODES, 4: { nodes: [], ownHost: '127.0.0.1' } };
  assert.equal(decodeNodeRecord(encodeNodeRecord(lying))?.[4].ownHost, null);
  const many = { ...NO_NODES, 4: { nodes: Array.from({ length: 2_000 }, () => at('8.8.8.8', 1)), ownHost: null } };
  assert.equal(decodeNodeRecord(encodeNodeRecord(many))?.[4].nodes.length, DHT_LIMITS.savedNodes);
  const longest = { 4: many[4], 6: { nodes: Array.from({ length: 2_000 }, () => at('2a00::1', 1)), ownHost: null } };
  assert.ok(encodeNodeRecord(longest).length < DHT_LIMITS.nodeFileBytes);
});
