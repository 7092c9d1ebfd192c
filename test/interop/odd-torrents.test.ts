/**
 * Odd torrents as foreign clients read them. Names may differ, for everyone mends them in a way of his own; where the
 * bytes go may not: order, lengths and offsets of the files must be the same.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { run } from '../../lab/child.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import type { BencodeInput } from '../../src/metainfo/bencode.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { file, HASH, multi } from '../metainfo/scene.js';
import { DEBIAN_PYTHON } from '../support/clients/libtorrent.js';
import { requirePrograms } from '../support/requirements.js';

const PIECE = 16_384;
const pad = (length: number) => ({ attr: 'p', length, path: ['.pad', String(length)] });
const link = (name: string, ...target: string[]) => file(name, 0, { attr: 'l', 'symlink path': target });

/** Lengths differ, so that order shows. */
const ODD: Record<string, BencodeInput[]> = {
  'empty components': [file('a//b', 10), file('/c', 20), file('d/', 30)],
  'components that are a dot': [file('a/./b', 10), file('./c', 20), file('d/.', 30)],
  'nothing but empty components': [file('a', 10), file('', 20), file('/', 30)],
  backslashes: [file('a\\b', 10), file('c\\d/e', 20), file('a_b', 30)],
  'the same file twice': [file('a.txt', 10), file('b', 20), file('a.txt', 30), file('a (2).txt', 40)],
  'names that differ in case': [file('a', 10), file('A', 20), file('d/x', 30), file('D/x', 40)],
  'a file in the way of a folder': [file('a', 10), file('a/b', 20), file('c/d', 30), file('c', 40)],
  'padding without a path': [
    file('a', 10),
    { attr: 'p', length: 6 },
    file('b', 20),
    { attr: 'p', length: 5, path: [] },
  ],
  'padding that repeats': [file('a', 10), pad(6), file('b', 20), pad(6), file('c', 30)],
  'names that are not UTF-8': [
    { path: [Buffer.from([0x61, 0xff])], length: 10 },
    { path: [Buffer.from([0x61, 0xfe])], length: 20 },
    file('a_', 30),
  ],
  'names that are too long': [file(`${'x'.repeat(300)}.tar`, 10), file(`${'x'.repeat(300)}1.tar`, 20)],
  'links and empty files': [file('a', 10), link('l', 'a'), file('e', 0), link('l', 'a'), file('e', 0), file('z', 20)],
};

function torrent(files: readonly BencodeInput[], more: Record<string, BencodeInput> = {}): Buffer {
  let total = 0;
  for (const entry of files) total += (entry as { length: number }).length;
  const pieces = Buffer.alloc(Math.ceil(total / PIECE) * HASH.length, HASH);
  return multi([...files], { 'piece length': PIECE, pieces, ...more });
}

/** `begin length`, and `pad`. */
function places(bytes: Uint8Array): string[] {
  const { files } = parseTorrent(bytes);
  return files.map((entry) => `${entry.beginBytes} ${entry.lengthBytes}${entry.isPad ? ' pad' : ''}`);
}

const LIBTORRENT_PLACES = `
import libtorrent, sys
for name in sys.argv[1:]:
    try:
        files = libtorrent.torrent_info(name).files()
        pads = [' pad' if files.file_flags(i) & 1 else '' for i in range(files.num_files())]
        print(';'.join(str(files.file_offset(i)) + ' ' + str(files.file_size(i)) + pads[i]
            for i in range(files.num_files())))
    except RuntimeError as error:
        print('refused: ' + str(error))
`;

/** A line for each torrent: its places joined by ';', or why it is refused. */
async function libtorrentPlaces(scope: Scope, torrents: readonly Uint8Array[]): Promise<string[]> {
  const folder = await tempFolder(scope);
  const names = torrents.map((_, index) => path.join(folder, `${index}.torrent`));
  await Promise.all(torrents.map((bytes, index) => writeFile(names[index]!, bytes)));
  return (await run(scope, DEBIAN_PYTHON, ['-c', LIBTORRENT_PLACES, ...names])).trim().split('\n');
}

/** Lengths in the order of the torrent; none when aria2 refuses it, which it tells with exit code 0. */
async function aria2Lengths(scope: Scope, bytes: Uint8Array): Promise<number[]> {
  const name = path.join(await tempFolder(scope), 'odd.torrent');
  await writeFile(name, bytes);
  const shown = await run(scope, 'aria2c', ['--no-conf', '-S', name]);
  return [...shown.matchAll(/^ {3}\|.*\(([\d,]+)\)$/gm)].map((match) => Number(match[1]!.replaceAll(',', '')));
}

describe('an odd torrent', () => {
  test('has its bytes where libtorrent has them', async (t) => {
    if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
    const scope = openScope(t);
    const torrents = Object.values(ODD).map((files) => torrent(files));
    torrents.push(Buffer.concat([torrent(ODD.backslashes!), Buffer.from('\nmore')]));
    const theirs = await libtorrentPlaces(scope, torrents);
    const titles = [...Object.keys(ODD), 'bytes after the end'];
    for (const [index, bytes] of torrents.entries())
      assert.equal(places(bytes).join(';'), theirs[index], titles[index]);
  });

  test('has its files in the order of aria2, where that takes it', async (t) => {
    if (await requirePrograms(t, ['aria2c'])) return;
    const scope = openScope(t);
    const taken: string[] = [];
    for (const [title, files] of Object.entries(ODD)) {
      const bytes = torrent(files);
      const lengths = await aria2Lengths(scope, bytes);
      if (lengths.length === 0) continue;
      taken.push(title);
      const ours = parseTorrent(bytes).files.map(({ lengthBytes }) => lengthBytes);
      assert.deepEqual(lengths, ours, title);
    }
    assert.ok(taken.length >= 6, `aria2 took only: ${taken.join(', ')}`);
  });
});

describe('a hybrid', () => {
  const leaf = (length: number) => ({ '': { length, ...(length > 0 ? { 'pieces root': Buffer.alloc(32, 1) } : {}) } });
  const FILES = [file('10', 10), pad(PIECE - 10), file('2', 30), pad(PIECE - 30), file('b/c', PIECE), file('e', 0)];
  const TREE = { '10': leaf(10), '2': leaf(30), b: { c: leaf(PIECE) }, e: leaf(0) };
  const swapped = FILES.toSpliced(0, 4, file('2', 30), pad(PIECE - 30), file('10', 10), pad(PIECE - 10));

  const cases: [what: string, isTaken: boolean, files: BencodeInput[], tree: BencodeInput][] = [
    ['whose halves agree', true, FILES, TREE],
    ['with another length', false, FILES, { ...TREE, '10': leaf(11) }],
    ['with another name', false, FILES, { ...TREE, b: { d: leaf(PIECE) } }],
    ['with another order', false, swapped, TREE],
    ['with padding that is missing', false, FILES.toSpliced(1, 1), TREE],
    ['with padding that is too short', false, FILES.toSpliced(1, 1, pad(6)), TREE],
    ['with a file more in version 1', false, [...FILES, file('z', 0)], TREE],
    ['with a file more in version 2', false, FILES, { ...TREE, z: leaf(0) }],
  ];

  test('is taken or refused as libtorrent does', async (t) => {
    if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
    const torrents = cases.map(([, , files, tree]) =>
      torrent(files, { 'file tree': tree, 'meta version': 2, 'piece layers': {} }),
    );
    const theirs = await libtorrentPlaces(openScope(t), torrents);
    for (const [index, [what, isTaken]] of cases.entries()) {
      assert.equal(theirs[index]!.startsWith('refused'), !isTaken, `${what}: ${theirs[index]}`);
      if (isTaken) assert.equal(places(torrents[index]!).join(';'), theirs[index]);
      else assert.throws(() => parseTorrent(torrents[index]!), { code: 'BAD_TORRENT' }, what);
    }
  });
});
