/** Torrents of other makers read here, ours read by others: info-hashes and file lists must agree. */
import assert from 'node:assert/strict';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run } from '../../lab/child.js';
import { AWKWARD_FILES, writeTree } from '../../lab/data.js';
import { openScope, Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { createTorrent } from '../../src/content/create.js';
import { recheckFiles } from '../../src/content/recheck.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { parseTorrent, withTrackers } from '../../src/metainfo/torrent.js';
import { createWorkPool } from '../../src/work/pool.js';
import type { WorkPool } from '../../src/work/port.js';
import { DEBIAN_PYTHON } from '../support/clients/libtorrent.js';
import { requirePrograms } from '../support/requirements.js';
import { libtorrentInfoHash, mktorrent, transmissionCreate, transmissionInfoHash } from '../support/torrents.js';

const KIB = 1024;
const ANNOUNCE = 'http://tracker.example:6969/announce';
const suite = new Scope();
let pool: WorkPool;
let data: string;

before(async () => {
  pool = createWorkPool({ threads: 1 });
  suite.defer(() => pool.close());
  data = await tempFolder(suite);
  await writeTree(path.join(data, 'tree'), AWKWARD_FILES, 'torrents');
});
after(() => suite.close());

/** `length path` of every file that is stored, sorted. */
function fileList(metainfo: Metainfo): string[] {
  return metainfo.files
    .filter((file) => !file.isPad)
    .map((file) => `${file.lengthBytes} ${file.path.join('/')}`)
    .toSorted();
}

const EXPECTED_FILES = AWKWARD_FILES.map((file) => `${file.lengthBytes} tree/${file.path}`).toSorted();

const LIBTORRENT_FILES = `
import libtorrent, sys
files = libtorrent.torrent_info(sys.argv[1]).files()
for i in range(files.num_files()):
    print(files.file_size(i), files.file_path(i))
`;

async function libtorrentFiles(scope: Scope, torrentFile: string): Promise<string[]> {
  const output = await run(scope, DEBIAN_PYTHON, ['-c', LIBTORRENT_FILES, torrentFile]);
  return output.trim().split('\n').toSorted();
}

const LIBTORRENT_CREATE = `
import libtorrent as lt, sys, os
source, target, length, flags = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
files = lt.file_storage()
lt.add_files(files, source)
kinds = {'v1': lt.create_torrent.v1_only, 'hybrid': 0, 'v2': lt.create_torrent.v2_only}
torrent = lt.create_torrent(files, length, kinds[flags])
torrent.add_tracker('${ANNOUNCE}')
lt.set_piece_hashes(torrent, os.path.dirname(source))
open(target, 'wb').write(lt.bencode(torrent.generate()))
`;

type Maker = (scope: Scope, source: string, torrentFile: string) => Promise<unknown>;
const options = { announce: ANNOUNCE, pieceLengthBytes: 32 * KIB };
const libtorrentCreate = (kind: string): Maker => {
  return (scope, source, file) =>
    run(scope, DEBIAN_PYTHON, ['-c', LIBTORRENT_CREATE, source, file, String(32 * KIB), kind]);
};

const MAKERS: [name: string, make: Maker, needs: string[]][] = [
  ['mktorrent', (scope, source, file) => mktorrent(scope, source, file, options), ['mktorrent', 'transmission-show']],
  [
    'transmission-create',
    (scope, source, file) => transmissionCreate(scope, source, file, options),
    ['transmission-create', 'transmission-show'],
  ],
  ['libtorrent', libtorrentCreate('v1'), [DEBIAN_PYTHON]],
  ['libtorrent as a hybrid', libtorrentCreate('hybrid'), [DEBIAN_PYTHON]],
];

describe('a torrent made by', () => {
  for (const [name, make, needs] of MAKERS) {
    test(`${name} reads with its info-hash and files, and its data checks good`, async (t) => {
      if (await requirePrograms(t, needs)) return;
      const scope = openScope(t);
      const torrentFile = path.join(await tempFolder(scope), 'foreign.torrent');
      await make(scope, path.join(data, 'tree'), torrentFile);
      const metainfo = parseTorrent(await readFile(torrentFile));
      // transmission-create leaves empty and hidden files out.
      const isLeftOut = (line: string) => name === 'transmission-create' && /^0 |\/\./.test(line);
      const files = EXPECTED_FILES.filter((line) => !isLeftOut(line));
      assert.deepEqual(fileList(metainfo), files);
      assert.deepEqual(metainfo.trackers, [[ANNOUNCE]]);
      assert.equal(metainfo.geometry.pieceLengthBytes, 32 * KIB);
      // Transmission 3.00 hashes the info dictionary as it writes it again, so it disagrees about keys it does not
      // know.
      const printed = name.startsWith('libtorrent')
        ? await libtorrentV1Hash(scope, torrentFile)
        : await transmissionInfoHash(scope, torrentFile);
      assert.equal(metainfo.infoHashHex, printed);
      const checked = await recheckFiles(metainfo, data, pool);
      assert.ok(checked.good.isFull);
      assert.ok(checked.files.every(({ state }) => state === 'ok'));
    });
  }

  test('libtorrent as version 2 alone is refused with a clear line', async (t) => {
    if (await requirePrograms(t, [DEBIAN_PYTHON])) return;
    const scope = openScope(t);
    const torrentFile = path.join(await tempFolder(scope), 'v2.torrent');
    await libtorrentCreate('v2')(scope, path.join(data, 'tree'), torrentFile);
    const bytes = await readFile(torrentFile);
    assert.throws(() => parseTorrent(bytes), { code: 'BAD_TORRENT', message: /v2-only/ });
  });
});

async function libtorrentV1Hash(scope: Scope, torrentFile: string): Promise<string> {
  const program = 'import libtorrent, sys; print(libtorrent.torrent_info(sys.argv[1]).info_hashes().v1)';
  return (await run(scope, DEBIAN_PYTHON, ['-c', program, torrentFile])).trim();
}

const READERS = ['transmission-show', DEBIAN_PYTHON];

describe('our torrent', () => {
  test('of a tree is read by transmission-show and libtorrent with the same info-hash and files', async (t) => {
    if (await requirePrograms(t, READERS)) return;
    const scope = openScope(t);
    const torrentFile = path.join(await tempFolder(scope), 'ours.torrent');
    const trackers = [[ANNOUNCE], ['udp://backup.example:80/announce']];
    const made = await createTorrent(
      path.join(data, 'tree'),
      { trackers, pieceLengthBytes: 32 * KIB, comment: 'c' },
      pool,
    );
    for (const bytes of [made, withTrackers(made, [['http://other.example/announce']])]) {
      await writeFile(torrentFile, bytes);
      const metainfo = parseTorrent(bytes);
      assert.equal(await transmissionInfoHash(scope, torrentFile), metainfo.infoHashHex);
      assert.equal(await libtorrentInfoHash(scope, torrentFile), metainfo.infoHashHex);
      assert.deepEqual(await libtorrentFiles(scope, torrentFile), EXPECTED_FILES);
      const shown = await run(scope, 'transmission-show', [torrentFile]);
      for (const file of AWKWARD_FILES) assert.ok(shown.includes(`tree/${file.path} (`), `${file.path}\n${shown}`);
      assert.ok(shown.includes(metainfo.trackers[0]![0]!));
    }
  });

  test('of one file, and of a tree with a link, has the same info-hash everywhere', async (t) => {
    if (await requirePrograms(t, READERS)) return;
    const scope = openScope(t);
    const folder = await tempFolder(scope);
    await writeTree(path.join(folder, 'linked'), [{ path: 'sub/file', lengthBytes: 20_000, isExecutable: true }], 1);
    await symlink('sub/file', path.join(folder, 'linked', 'alias'));
    const torrentFile = path.join(folder, 'x.torrent');
    for (const source of [path.join(data, 'tree', 'with space', '.hidden'), path.join(folder, 'linked')]) {
      const bytes = await createTorrent(source, { trackers: [[ANNOUNCE]], isPrivate: true }, pool);
      await writeFile(torrentFile, bytes);
      const { infoHashHex } = parseTorrent(bytes);
      assert.equal(await transmissionInfoHash(scope, torrentFile), infoHashHex);
      assert.equal(await libtorrentInfoHash(scope, torrentFile), infoHashHex);
    }
  });
});
