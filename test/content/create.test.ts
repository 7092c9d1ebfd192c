import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, readdirSync, renameSync, truncateSync, utimesSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { AWKWARD_FILES, seededBytes, writeTree } from '../../lab/data.js';
import { openScope, Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { type CreateOptions, choosePieceLength, createTorrent } from '../../src/content/create.js';
import { HaulError } from '../../src/errors.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { createWorkPool } from '../../src/work/pool.js';
import { ProbePool } from '../support/probe-pool.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const suite = new Scope();
let pool: ProbePool;

before(() => {
  const real = createWorkPool({ threads: 2 });
  suite.defer(() => real.close());
  pool = new ProbePool(real);
});
afterEach(() => {
  pool.fault = () => null;
});
after(() => suite.close());

async function folder(test: { after(hook: () => Promise<void>): void }): Promise<string> {
  return tempFolder(openScope(test));
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function digests(bytes: Buffer, pieceLength: number): Buffer {
  const all: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceLength) {
    all.push(
      createHash('sha1')
        .update(bytes.subarray(at, at + pieceLength))
        .digest(),
    );
  }
  return Buffer.concat(all);
}

async function fails(source: string, code: string, message: RegExp, options: CreateOptions = {}): Promise<void> {
  await assert.rejects(createTorrent(source, options, pool), (error) => {
    assert.ok(error instanceof HaulError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

describe('the piece length', () => {
  test('is a power of two that gives 2,000 to 4,000 pieces between the bounds', () => {
    assert.equal(choosePieceLength(1), 256 * KIB);
    assert.equal(choosePieceLength(4000 * 256 * KIB), 256 * KIB);
    assert.equal(choosePieceLength(4000 * 256 * KIB + 1), 512 * KIB);
    assert.equal(choosePieceLength(2 ** 49), 16 * MIB);
    for (let bytes = 2 ** 30; bytes < 2 ** 36; bytes = Math.ceil(bytes * 1.37)) {
      const length = choosePieceLength(bytes);
      const count = bytes / length;
      assert.ok(Number.isInteger(Math.log2(length)) && count <= 4000, `${bytes}`);
      assert.ok(count > 2000 || length === 256 * KIB || length === 16 * MIB, `${bytes}`);
    }
  });

  test('given must be a power of two within the limits', async (t) => {
    const file = path.join(await folder(t), 'f');
    await writeFile(file, 'x');
    for (const wrong of [0, -16384, 1, 8 * KIB, 24 * KIB, 128 * MIB, 1.5, Number.NaN]) {
      await fails(file, 'BAD_ARGUMENT', /piece length .* power of two/, { pieceLengthBytes: wrong });
    }
  });
});

describe('creating a torrent', () => {
  test('of a file hashes its pieces and reports progress to the end', async (t) => {
    const file = path.join(await folder(t), 'image.iso');
    const bytes = seededBytes('image', 20 * MIB + 12_345);
    await writeFile(file, bytes, { mode: 0o755 });
    const progress: number[] = [];
    const torrent = await createTorrent(
      file,
      {
        pieceLengthBytes: 64 * KIB,
        trackers: [['http://t.example/announce']],
        webSeeds: ['http://w.example/image.iso'],
        isPrivate: true,
        comment: 'hello',
        createdBy: 'test',
        creationDate: 77,
        onProgress: (done, total) => {
          assert.equal(total, bytes.length);
          progress.push(done);
        },
      },
      pool,
    );
    const metainfo = parseTorrent(torrent);
    assert.deepEqual(metainfo.pieceHashes, digests(bytes, 64 * KIB));
    assert.deepEqual(metainfo.warnings, []);
    assert.deepEqual(
      [metainfo.name, metainfo.isMultiFile, metainfo.isPrivate, metainfo.files[0]?.isExecutable],
      ['image.iso', false, true, true],
    );
    const { comment, createdBy, creationDate, trackers, webSeeds } = metainfo;
    assert.deepEqual([comment, createdBy, creationDate], ['hello', 'test', 77]);
    assert.deepEqual([trackers, webSeeds], [[['http://t.example/announce']], ['http://w.example/image.iso']]);
    assert.equal(progress[0], 0);
    assert.equal(progress.at(-1), bytes.length);
    assert.deepEqual(
      progress,
      progress.toSorted((a, b) => a - b),
    );
  });

  test('of a folder keeps empty files and attributes, sorts by bytes, and gives the same bytes again', async (t) => {
    const root = path.join(await folder(t), 'tree');
    await writeTree(root, AWKWARD_FILES, 'create');
    await writeTree(root, [{ path: 'deep-', lengthBytes: 3 }], 'create');
    await mkdir(path.join(root, 'empty folder'));
    await symlink('../bin/tool.sh', path.join(root, 'deep', 'link'));
    await symlink(path.join(root, 'nowhere'), path.join(root, 'dangling'));
    const options = { pieceLengthBytes: 16 * KIB, creationDate: null };
    const torrent = await createTorrent(root, options, pool);
    const metainfo = parseTorrent(torrent);
    assert.deepEqual(metainfo.warnings, []);
    assert.deepEqual(
      metainfo.files.map((file) => `${file.path.slice(1).join('/')}${file.isExecutable ? '*' : ''}`),
      [
        'a-empty',
        'bin/tool.sh*',
        'block',
        'block-less-one',
        'block-more-one',
        'dangling',
        'deep/er/and/deeper/still/leaf.txt',
        'deep/er/empty',
        'deep/link',
        'deep-',
        'grüße/日本語/файл.bin',
        'one',
        'with space/.hidden',
        'z-empty',
      ],
    );
    const links = metainfo.files.flatMap((file) => (file.symlinkPath === null ? [] : [file.symlinkPath.join('/')]));
    assert.deepEqual(links, ['nowhere', 'bin/tool.sh']);
    const order = metainfo.files.filter((file) => file.symlinkPath === null);
    const content = order.map((file) => {
      const name = file.path.slice(1).join('/');
      return seededBytes(`create/${name}`, file.lengthBytes);
    });
    assert.deepEqual(metainfo.pieceHashes, digests(Buffer.concat(content), 16 * KIB));
    assert.deepEqual(await createTorrent(`${root}/`, options, pool), torrent);
  });

  test('of a root that is a link uses the name of the link', async (t) => {
    const base = await folder(t);
    await writeTree(
      path.join(base, 'real'),
      [
        { path: 'a', lengthBytes: 5 },
        { path: 'b', lengthBytes: 5 },
      ],
      1,
    );
    await symlink('a', path.join(base, 'real', 'c'));
    await symlink('real', path.join(base, 'alias'));
    const metainfo = parseTorrent(await createTorrent(path.join(base, 'alias'), {}, pool));
    assert.deepEqual(
      metainfo.files.map((file) => file.path.join('/')),
      ['alias/a', 'alias/b', 'alias/c'],
    );
    assert.ok(metainfo.creationDate !== null);
  });

  test('of thousands of tiny files keeps few descriptors open, in pieces small and large', async (t) => {
    const root = path.join(await folder(t), 'many');
    const files = Array.from({ length: 3000 }, (_, i) => ({
      path: `${String(i % 10)}/${String(i).padStart(5, '0')}`,
      lengthBytes: i % 7 === 0 ? 0 : 40 + (i % 50),
    }));
    await writeTree(root, files, 'many');
    const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const content = Buffer.concat(sorted.map((file) => seededBytes(`many/${file.path}`, file.lengthBytes)));
    const before = openDescriptors();
    let most = 0;
    pool.mostFiles = 0;
    pool.fault = () => {
      most = Math.max(most, openDescriptors() - before);
      return null;
    };
    for (const pieceLengthBytes of [16 * KIB, 256 * KIB]) {
      const metainfo = parseTorrent(await createTorrent(root, { pieceLengthBytes }, pool));
      assert.deepEqual(metainfo.pieceHashes, digests(content, pieceLengthBytes));
      assert.equal(metainfo.files.length, 3000);
    }
    assert.ok(most <= 512, `${most} descriptors`);
    assert.ok(pool.mostFiles <= 256, `${pool.mostFiles} files in a job`);
    assert.equal(openDescriptors(), before);
  });

  test('of files of some kilobytes hashes them in the pool, many to a job', async (t) => {
    const root = path.join(await folder(t), 'some');
    const files = Array.from({ length: 600 }, (_, i) => ({ path: `f${1000 + i}`, lengthBytes: 1000 + i }));
    await writeTree(root, files, 'some');
    const content = Buffer.concat(files.map((file) => seededBytes(`some/${file.path}`, file.lengthBytes)));
    [pool.jobs, pool.mostFiles, pool.mostInFlight] = [0, 0, 0];
    const metainfo = parseTorrent(await createTorrent(root, { pieceLengthBytes: 32 * KIB }, pool));
    assert.deepEqual(metainfo.pieceHashes, digests(content, 32 * KIB));
    assert.ok(pool.jobs >= 3 && pool.jobs <= 15, `${pool.jobs} jobs`);
    assert.ok(pool.mostFiles > 100 && pool.mostFiles <= 256, `${pool.mostFiles} files in a job`);
    assert.ok(pool.mostInFlight <= 6);
  });

  test('waits for room in a pool that others have filled', async (t) => {
    const file = path.join(await folder(t), 'f');
    await writeFile(file, seededBytes('room', 100_000));
    pool.refusals = 3;
    const metainfo = parseTorrent(await createTorrent(file, { pieceLengthBytes: 16 * KIB }, pool));
    assert.deepEqual(metainfo.pieceHashes, digests(seededBytes('room', 100_000), 16 * KIB));
    assert.equal(pool.refusals, 0);
  });
});

describe('what cannot be shared', () => {
  test('is refused by name', async (t) => {
    const base = await folder(t);
    const make = async (name: string): Promise<string> => {
      await writeTree(path.join(base, name), [{ path: 'ok', lengthBytes: 5 }], 1);
      return path.join(base, name);
    };
    await fails(path.join(base, 'nothing'), 'NOT_FOUND', /nothing: no such file/);
    await fails('/', 'BAD_ARGUMENT', /without a name/);
    await fails(await make('.0123456789abcdef.haul-parts'), 'BAD_ARGUMENT', /keeps beside its data/);

    const fifo = await make('with fifo');
    execFileSync('mkfifo', [path.join(fifo, 'pipe')]);
    await fails(fifo, 'BAD_ARGUMENT', /with fifo\/pipe: a FIFO/);
    await fails(path.join(fifo, 'pipe'), 'BAD_ARGUMENT', /pipe: a FIFO/);

    const outside = await make('with link');
    await symlink('../with fifo/ok', path.join(outside, 'out'));
    await fails(outside, 'BAD_ARGUMENT', /with link\/out: a symbolic link that leads outside.*with fifo\/ok/);

    const detour = await make('with detour');
    await mkdir(path.join(detour, 'real'));
    await symlink('../..', path.join(detour, 'real', 'up'));
    await fails(detour, 'BAD_ARGUMENT', /up: a symbolic link that leads outside/);

    for (const [name, message] of [
      ['back\\slash', /holds a backslash/],
      ['new\nline', /holds a control character/],
    ] as const) {
      const tree = await make(`tree ${message.source}`);
      await writeFile(path.join(tree, name), 'x');
      await fails(tree, 'BAD_ARGUMENT', message);
    }
    const notText = await make('not text');
    await writeFile(Buffer.concat([Buffer.from(`${notText}/`), Buffer.from([0xff])]), 'x');
    await fails(notText, 'BAD_ARGUMENT', /not UTF-8/);
  });

  test('includes nothing at all, and URLs that are none', async (t) => {
    const base = await folder(t);
    await fails(base, 'BAD_ARGUMENT', /holds no data/);
    await writeFile(path.join(base, 'empty'), '');
    await fails(base, 'BAD_ARGUMENT', /holds no data/);
    await fails(path.join(base, 'empty'), 'BAD_ARGUMENT', /holds no data/);
    await fails(base, 'BAD_ARGUMENT', /tracker URL: "nonsense"/, { trackers: [['nonsense']] });
    await fails(base, 'BAD_ARGUMENT', /web seed URL/, { webSeeds: ['udp://x:1'] });
    await fails(base, 'BAD_ARGUMENT', /creation date/, { creationDate: 1.5 });
  });
});

describe('a file that changes while it is hashed', () => {
  test('is named, whether it shrinks, grows, is rewritten or vanishes', async (t) => {
    const base = await folder(t);
    const file = path.join(base, 'tree', 'b');
    const changes: [what: string, code: string, change: () => void][] = [
      ['shrinks', 'BAD_DATA', () => truncateSync(file, 10)],
      ['grows', 'BAD_DATA', () => appendFileSync(file, 'more')],
      ['is rewritten', 'BAD_DATA', () => utimesSync(file, 5, 5)],
      ['vanishes', 'NOT_FOUND', () => renameSync(file, path.join(base, 'gone'))],
    ];
    for (const [what, code, change] of changes) {
      await writeTree(
        path.join(base, 'tree'),
        [
          { path: 'a', lengthBytes: 50_000 },
          { path: 'b', lengthBytes: 50_000 },
        ],
        what,
      );
      let isChanged = false;
      pool.fault = () => {
        // After the walk, before the worker opens the files.
        if (!isChanged) change();
        isChanged = true;
        return null;
      };
      const descriptors = openDescriptors();
      const message = code === 'BAD_DATA' ? /tree\/b: the file changed while it was hashed/ : /tree\/b: no such file/;
      await fails(path.join(base, 'tree'), code, message, { pieceLengthBytes: 16 * KIB });
      pool.fault = () => null;
      assert.ok(isChanged, what);
      assert.equal(openDescriptors(), descriptors, what);
    }
  });

  test('with trouble reading, the error names the file and the errno', async (t) => {
    const base = await folder(t);
    await writeTree(
      path.join(base, 'tree'),
      [
        { path: 'a', lengthBytes: 40_000 },
        { path: 'b', lengthBytes: 40_000 },
      ],
      1,
    );
    pool.fault = (job) => {
      if (job.kind !== 'digest-pieces') return null;
      return job.files.some((range) => range.beginBytes + range.lengthBytes > 20_000) ? 'EIO' : null;
    };
    await fails(path.join(base, 'tree'), 'IO', /read .*tree\/[ab].*EIO/, { pieceLengthBytes: 16 * KIB });
    pool.fault = () => 'EACCES';
    await fails(path.join(base, 'tree'), 'NO_PERMISSION', /read .*tree\/a.*permission/, { pieceLengthBytes: 16 * KIB });
    pool.fault = () => 'EMFILE';
    await fails(path.join(base, 'tree'), 'SYSTEM_LIMIT', /read .*tree\/a.*too many open files/, {
      pieceLengthBytes: 16 * KIB,
    });
  });
});

describe('stopping', () => {
  test('before and in the middle ends with ABORTED and no descriptor open', async (t) => {
    const file = path.join(await folder(t), 'f');
    await writeFile(file, seededBytes('stop', 30 * MIB));
    const before = openDescriptors();
    const controller = new AbortController();
    const onProgress = (done: number) => {
      if (done > 0) controller.abort();
    };
    await fails(file, 'ABORTED', /stopped/, { signal: controller.signal, onProgress, pieceLengthBytes: 16 * KIB });
    await fails(path.dirname(file), 'ABORTED', /stopped/, { signal: controller.signal });
    assert.equal(pool.inFlight, 0);
    assert.equal(openDescriptors(), before);
  });
});
