/** Where files are on a web server (BEP 19). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FileEntry } from '../../src/metainfo/metainfo.js';
import { fileUrl } from '../../src/webseed/url.js';

function entry(path: readonly string[], pathInTorrent?: readonly string[]): FileEntry {
  const given = pathInTorrent === undefined ? {} : { pathInTorrent };
  const plain = { isPad: false, isExecutable: false, isHidden: false, symlinkPath: null };
  return { path, lengthBytes: 1, beginBytes: 0, ...plain, ...given };
}

const single = { name: 'a b.iso', isMultiFile: false };
const tree = { name: 'tree', isMultiFile: true };
const urlOf = (base: string, torrent: typeof single, file: FileEntry): string =>
  fileUrl(new URL(base), torrent, file).href;

test('a single file is at the URL itself, or by its name in the folder that the URL names', () => {
  const file = entry(['a b.iso']);
  assert.equal(urlOf('http://s.example/x/other.iso', single, file), 'http://s.example/x/other.iso');
  assert.equal(urlOf('http://s.example/x/', single, file), 'http://s.example/x/a%20b.iso');
  assert.equal(urlOf('http://u:p@s.example/x.iso?sig=1', single, file), 'http://u:p@s.example/x.iso?sig=1');
});

test('files of a folder are below the folder of the torrent, with or without a slash at the end of the URL', () => {
  const file = entry(['tree', 'sub dir', "it's (1)#?.bin"]);
  const there = 'http://s.example/pub/tree/sub%20dir/it%27s%20%281%29%23%3F.bin';
  assert.equal(urlOf('http://s.example/pub/', tree, file), there);
  assert.equal(urlOf('http://s.example/pub', tree, file), there);
  assert.equal(urlOf('http://s.example', tree, file), 'http://s.example/tree/sub%20dir/it%27s%20%281%29%23%3F.bin');
});

test('a mended name is asked for as the torrent has it, unless it would lead out of the folder', () => {
  const mended = entry(['tree', 'con_'], ['con']);
  assert.equal(urlOf('http://s.example/', tree, mended), 'http://s.example/tree/con');
  for (const odd of [['..', 'x'], ['a/b'], ['.'], [''], ['x\0']]) {
    assert.equal(urlOf('http://s.example/', tree, entry(['tree', 'ok'], odd)), 'http://s.example/tree/ok');
  }
});

test('whatever the names, the URL stays below the base and gives the names back', () => {
  const name = fc.string({ minLength: 1, maxLength: 12, unit: 'binary' }).filter((text) => {
    return text !== '.' && text !== '..' && !text.includes('/') && !text.includes('\0');
  });
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), fc.boolean(), (names, hasSlash) => {
      const base = new URL(`http://u:p@s.example/base%20x${hasSlash ? '/' : ''}?q=1`);
      const url = fileUrl(base, tree, entry(['tree', ...names]));
      assert.equal(url.origin, base.origin);
      assert.equal(url.search, '?q=1');
      assert.equal(url.hash, '');
      assert.ok(!/[\s'()]/.test(url.pathname), url.pathname);
      const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
      assert.deepEqual(parts, ['base x', 'tree', ...names]);
    }),
  );
});
