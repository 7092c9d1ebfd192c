/** What of a folder does not become part of its torrent: left out, impossible, or told once. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createTorrent, parseTorrent } from '../../src/index.js';
import { makeExclusion } from '../../src/library/glob.js';
import { haul, makeFolder } from './harness.js';

async function makeTree(root: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    await mkdir(join(root, file, '..'), { recursive: true });
    await writeFile(join(root, file), file);
  }
}

describe('--exclude', () => {
  it('refuses a glob that is only slashes', () => {
    for (const glob of ['/', './', '']) assert.throws(() => makeExclusion([glob]), { code: 'BAD_ARGUMENT' });
  });

  it('takes a glob without a slash for names in any folder, and one with a slash for a path', () => {
    const { isExcluded, unused } = makeExclusion(['*.tmp', 'docs/*.html', '.git/', './a(1)/b', 'none']);
    for (const path of ['x.tmp', 'a/b/.x.tmp', 'docs/i.html', '.git', 'sub/.git', 'a(1)/b']) {
      assert.ok(isExcluded(path), path);
    }
    for (const path of ['x.tmp2', 'sub/docs/i.html', 'docs/sub/i.html', 'a(1)/c', 'b'])
      assert.ok(!isExcluded(path), path);
    assert.deepEqual(unused(), ['none']);
  });

  it('leaves files and folders out, whatever they are, and says which glob matched nothing', async (context) => {
    const folder = await makeFolder(context);
    const root = join(folder, 'tree');
    await makeTree(root, ['keep', 'x.tmp', 'sub/y.tmp', 'sub/keep', '.git/config', 'draft/a/b', 'tmp.d/c']);
    await mkdir(join(root, 'sockets'));
    execFileSync('mkfifo', [join(root, 'sockets/fifo')]);
    await writeFile(Buffer.concat([Buffer.from(`${root}/sockets/`), Buffer.from([0xff, 0xfe])]), 'x');
    await symlink('/etc/passwd', join(root, 'out.tmp'));
    const torrent = join(folder, 'x.torrent');
    const words = ['*.tmp', '.git', 'draft/**', 'sockets/*', 'nothing'].flatMap((glob) => ['--exclude', glob]);
    const created = await haul('create', root, '-o', torrent, ...words);
    assert.equal(created.exitCode, 0, created.stderr);
    assert.equal(created.stderr, "haul: warning: nothing matches the glob 'nothing' of what to leave out\n");
    const { lines } = await haul('inspect', torrent, '--json');
    const paths = (lines[0]!.files as { path: string }[]).map(({ path }) => path);
    assert.deepEqual(paths, ['tree/keep', 'tree/sub/keep', 'tree/tmp.d/c']);
    const { bytes } = await createTorrent(root, { exclude: words.filter((_, index) => index % 2 === 1) });
    assert.deepEqual(parseTorrent(bytes).infoHashHex, lines[0]!.infoHash);
    await assert.rejects(createTorrent(root, { exclude: [''] }), { code: 'BAD_ARGUMENT' });
  });
});

describe('a symbolic link to what is left out', () => {
  it('is kept and told of, once for all of them; one that led nowhere before is not', async (context) => {
    const folder = await makeFolder(context);
    const root = join(folder, 'tree');
    await makeTree(root, ['keep', 'lib/libx.so.1.2', 'cache/deep/file']);
    await symlink('libx.so.1.2', join(root, 'lib/libx.so.1'));
    await symlink('../cache/deep', join(root, 'lib/cached'));
    await symlink('lib/cached/file', join(root, 'through'));
    await symlink('keep', join(root, 'good'));
    await symlink('nowhere', join(root, 'broken'));
    const torrent = join(folder, 'x.torrent');
    const words = ['--exclude', '*.1.2', '--exclude', 'cache'];
    const created = await haul('create', root, '-o', torrent, ...words);
    assert.equal(created.exitCode, 0, created.stderr);
    assert.equal(
      created.stderr,
      'haul: warning: 3 symbolic links lead to what is left out: lib/cached, lib/libx.so.1, through\n',
    );
    const { lines } = await haul('inspect', torrent, '--json');
    const links = (lines[0]!.files as { path: string; symlinkTo?: string }[]).filter(({ symlinkTo }) => symlinkTo);
    assert.equal(links.length, 5);
    const { warnings } = await createTorrent(root, { exclude: ['keep'] });
    assert.deepEqual(warnings, ['1 symbolic link leads to what is left out: good']);
  });
});

describe('what a torrent cannot hold', () => {
  it('is told all at once when it cannot be shared', async (context) => {
    const folder = await makeFolder(context);
    const root = join(folder, 'tree');
    await makeTree(root, ['keep', 'sub/keep']);
    execFileSync('mkfifo', [join(root, 'sub/fifo')]);
    await symlink('/etc/passwd', join(root, 'link'));
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff])]), 'x');
    const { exitCode, lines, stderr } = await haul('create', root, '-o', join(folder, 'x.torrent'), '--json');
    assert.equal(exitCode, 1);
    const [first, ...others] = stderr.trimEnd().split('\n');
    assert.match(first!, /^haul: cannot be shared: 3 things in \S+tree, the first /);
    assert.equal(others.length, 3, stderr);
    for (const reason of [/fifo: a FIFO$/, /link: a symbolic link that leads outside/, /not UTF-8/]) {
      assert.ok(
        others.some((line) => reason.test(line)),
        String(reason),
      );
    }
    assert.equal((lines.at(-1)!.facts as { count: number }).count, 3);
  });

  it('is told once when it is shared without it: empty folders, and bits that are not kept', async (context) => {
    const folder = await makeFolder(context);
    const root = join(folder, 'tree');
    await makeTree(root, ['program', 'full/of/files', 'tidy/x.tmp']);
    await mkdir(join(root, 'empty/deeper'), { recursive: true });
    await chmod(join(root, 'program'), 0o4755);
    const created = await haul('create', root, '-o', join(folder, 'x.torrent'), '--exclude', '*.tmp');
    assert.equal(created.exitCode, 0, created.stderr);
    assert.equal(
      created.stderr,
      'haul: warning: 2 empty folders are not part of the torrent: empty/deeper, empty\n' +
        'haul: warning: 1 file is setuid, setgid or sticky, which a torrent does not keep: program\n',
    );
  });
});
