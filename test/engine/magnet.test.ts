/** A download that begins with a magnet link: real peers, trackers and files. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { startTestTracker } from '../../lab/tracker.js';
import { readTree } from '../../lab/tree.js';
import { until, withDeadline } from '../../lab/wait.js';
import type { Engine, MagnetOptions, Torrent } from '../../src/api.js';
import { formatMagnet, type MagnetFields } from '../../src/magnet/link.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { type DataSet, fileSet, startEngine, startSeed, treeSet } from '../support/engines.js';

const DEADLINE_MS = 30_000;
const PIECE_BYTES = 16 * 1024;
/** The info dictionary of so many pieces has three pieces itself. */
const LENGTH_BYTES = 2000 * PIECE_BYTES - 5;

const linkOf = ({ infoHash, name }: Metainfo, fields: Partial<MagnetFields> = {}): string =>
  formatMagnet({ infoHash, displayName: `not ${name}`, ...fields });
const at = (engine: Engine) => ({ host: '127.0.0.1', port: engine.port! });

async function fetched(engine: Engine, link: string, options: MagnetOptions): Promise<Torrent> {
  const magnet = engine.add(link, options);
  const torrent = await withDeadline(magnet.torrent, 'the metadata comes', DEADLINE_MS);
  await withDeadline(magnet.done, 'the download ends', DEADLINE_MS);
  return torrent;
}

test('a magnet that names a peer is enough; states, stats and events tell how far it is', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  const magnet = engine.add(linkOf(set.metainfo, { peers: [at(seed)] }), { output });
  const told: string[] = [];
  magnet.on('metadata', ({ name }) => told.push(`metadata ${name}`));
  magnet.on('added', ({ state }) => told.push(`added ${state}`));
  magnet.on('state', (state) => told.push(state));
  assert.deepEqual([magnet.state, magnet.displayName, engine.torrents.length], ['fetching', 'not image.bin', 0]);
  assert.deepEqual(engine.magnets, [magnet]);
  assert.equal(magnet.stats().metadataBytes, 0);
  assert.throws(() => engine.add(set.metainfo, { output }), /already there/);
  assert.throws(() => engine.add(linkOf(set.metainfo), { output }), /already there/);
  const torrent = await withDeadline(magnet.torrent, 'the metadata comes', DEADLINE_MS);
  assert.deepEqual(told, ['metadata image.bin', 'added', 'added preparing']);
  assert.deepEqual([engine.torrents, engine.magnets], [[torrent], []]);
  await withDeadline(magnet.done, 'the download ends', DEADLINE_MS);
  assert.deepEqual(await readTree(path.join(output, 'image.bin')), await readTree(set.path));
});

test('trackers of a magnet are enough too, and the first need not work', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const tracker = await startTestTracker(scope);
  tracker.isSwarm = true;
  const seed = await startEngine(scope);
  const trackers = [[tracker.url()]];
  await seed.add(set.metainfo, { output: set.folder, mode: 'seed', trustData: true, trackers }).done;
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  const link = linkOf(set.metainfo, { trackers: ['http://127.0.0.1:9/announce', tracker.url()] });
  const torrent = await fetched(engine, link, { output });
  assert.deepEqual(torrent.trackers, [['http://127.0.0.1:9/announce'], [tracker.url()]]);
});

test('a seed that comes to us gives its metadata too', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  const magnet = engine.add(linkOf(set.metainfo), { output });
  await until('it looks for peers', DEADLINE_MS, () => magnet.stats().waitingFor !== null);
  assert.match(magnet.stats().waitingFor!, /names no tracker and no peer/);
  const seed = await startEngine(scope);
  seed.add(set.metainfo, { output: set.folder, mode: 'seed', trustData: true, trackers: [], peers: [at(engine)] });
  await withDeadline(magnet.done, 'the download ends', DEADLINE_MS);
});

test('what was fetched is kept: a restart needs no peer for it, and a false file is not believed', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const output = path.join(await tempFolder(scope), 'new');
  const link = linkOf(set.metainfo, { peers: [at(seed)] });
  const first = await startEngine(scope);
  await fetched(first, link, { output });
  await first.close();
  await seed.close();
  const kept = path.join(output, `.${set.metainfo.infoHashHex.slice(0, 16)}.haul-torrent`);
  assert.ok((await readdir(output)).includes(path.basename(kept)));
  const second = await startEngine(scope);
  const torrent = await fetched(second, link, { output });
  assert.equal(torrent.stats().downloadedBytes, 0);
  await second.remove(torrent, { deleteData: true });
  assert.deepEqual(await readdir(output), []);

  const other = await fileSet(scope, PIECE_BYTES, { comment: 'another torrent' });
  for (const spoil of [
    () => writeFile(kept, other.torrent),
    () => writeFile(kept, 'no torrent'),
    () => mkdir(kept),
    () => symlink('/dev/zero', kept),
  ]) {
    await spoil();
    const third = await startEngine(scope);
    const magnet = third.add(linkOf(set.metainfo), { output });
    await until('it looks for peers', DEADLINE_MS, () => magnet.stats().waitingFor !== null);
    await third.close();
    await assert.rejects(magnet.torrent, { code: 'CLOSED' });
    await rm(kept, { recursive: true, force: true });
  }
});

test('so and choose say which files are wanted; a torrent without any of them fails', async (t) => {
  const scope = openScope(t);
  const files = ['a', 'b', 'c'].map((name) => ({ path: name, lengthBytes: 3 * PIECE_BYTES }));
  const set = await treeSet(scope, files, { pieceLengthBytes: PIECE_BYTES });
  const seed = await startSeed(scope, set);
  const link = linkOf(set.metainfo, { peers: [at(seed)] });
  const namesAfter = async (text: string, options: Partial<MagnetOptions> = {}): Promise<string[]> => {
    const output = await tempFolder(scope);
    const engine = await startEngine(scope);
    await fetched(engine, text, { output, ...options });
    await engine.close();
    return [...(await readTree(path.join(output, 'tree'))).keys()];
  };
  assert.deepEqual(await namesAfter(`${link}&so=0,2-4294967295`), ['a', 'c']);
  const choose = ({ files: all }: Metainfo) => ({
    priorities: all.map(({ path: [, name] }) => (name === 'b' ? ('high' as const) : ('skip' as const))),
  });
  assert.deepEqual(await namesAfter(`${link}&so=0`, { choose }), ['b']);
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  const magnet = engine.add(`${link}&so=3`, { output });
  await assert.rejects(withDeadline(magnet.done, 'it fails', DEADLINE_MS), /so names none of the files.*has 3/);
  assert.deepEqual([magnet.state, magnet.error?.code, engine.magnets], ['failed', 'BAD_ARGUMENT', []]);
  const wrong = engine.add(link, { output, choose: () => ({ priorities: ['skip'] }) });
  await assert.rejects(withDeadline(wrong.torrent, 'it fails', DEADLINE_MS), { code: 'BAD_ARGUMENT' });
  assert.deepEqual(await readdir(output), [], 'nothing is kept of what cannot be added');
  const thrown = engine.add(link, {
    output,
    choose: () => {
      throw new Error('I do not like it');
    },
  });
  await assert.rejects(withDeadline(thrown.torrent, 'it fails', DEADLINE_MS), /I do not like it/);
});

test('what is private keeps to trackers: a peer that the magnet names is not dialled for the data', async (t) => {
  const scope = openScope(t);
  const set = await privateSet(scope);
  const seed = await startSeed(scope, set);
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  const magnet = engine.add(linkOf(set.metainfo, { peers: [at(seed)] }), { output });
  const torrent = await withDeadline(magnet.torrent, 'the metadata comes', DEADLINE_MS);
  assert.equal(torrent.metainfo.isPrivate, true);
  await until('it downloads', DEADLINE_MS, () => torrent.state === 'downloading');
  await until('it says so', DEADLINE_MS, () => torrent.stats().health.some(({ code }) => code === 'no-trackers'));
  assert.equal(torrent.sources().addresses.known, 0);
  assert.equal(torrent.stats().verifiedPieces, 0);
});

function privateSet(scope: Scope): Promise<DataSet> {
  return fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: PIECE_BYTES, isPrivate: true });
}

test('a magnet can be stopped and aborted, and a link or an option that is wrong is told at once', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH_BYTES);
  const engine = await startEngine(scope);
  const output = await tempFolder(scope);
  const link = linkOf(set.metainfo, { peers: [{ host: '127.0.0.1', port: 9 }] });
  const magnet = engine.add(link, { output });
  await magnet.stop();
  await magnet.stop();
  await assert.rejects(magnet.done, { code: 'CLOSED' });
  const controller = new AbortController();
  const aborted = engine.add(link, { output, signal: controller.signal });
  await until('it dials', DEADLINE_MS, () => aborted.sources().addresses.dialled > 0);
  controller.abort();
  await assert.rejects(withDeadline(aborted.torrent, 'it ends', DEADLINE_MS), { code: 'ABORTED' });
  assert.deepEqual(engine.magnets, []);
  assert.throws(() => engine.add('magnet:?dn=x', { output }), { code: 'BAD_ARGUMENT' });
  assert.throws(() => engine.add('image.torrent', { output }), /read the file first/);
  assert.throws(() => engine.add(link, {} as MagnetOptions), { code: 'BAD_ARGUMENT' });
  assert.throws(() => engine.add(link, { output, nonsense: 1 } as MagnetOptions), { code: 'BAD_ARGUMENT' });
  assert.deepEqual(await readdir(output), []);
  assert.ok((await readFile(set.path)).length > 0);
});

test('an engine that closes stops its torrents at once, not after its magnet links', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, LENGTH_BYTES, { pieceLengthBytes: PIECE_BYTES });
  const engine = await startSeed(scope, set);
  const magnet = engine.add(`magnet:?xt=urn:btih:${'12'.repeat(20)}`, { output: await tempFolder(scope) });
  await until('it looks for peers', DEADLINE_MS, () => magnet.stats().waitingFor !== null);
  const [torrent] = engine.torrents;
  const closing = engine.close();
  assert.equal(torrent!.state, 'stopping');
  await withDeadline(closing, 'it closes', DEADLINE_MS);
  assert.deepEqual([torrent!.state, magnet.state], ['stopped', 'stopped']);
});
