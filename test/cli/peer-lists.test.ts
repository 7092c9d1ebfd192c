/** `--allow-peers` and `--deny-peers`: entries, files, and what is wrong with them. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parsePeerList } from '../../src/cli/peer-lists.js';
import { haul, makeFolder } from './harness.js';

const LINK = `magnet:?xt=urn:btih:${'0123456789'.repeat(4)}`;

describe('lists of peers', () => {
  it('are entries, or files of them with comments and empty lines', async (context) => {
    const file = join(await makeFolder(context), 'list.txt');
    await writeFile(file, '# ours\r\n10.0.0.0/8 # all\n\n  fd00::/8\n10.0.0.1-10.0.0.9\n');
    assert.deepEqual(parsePeerList(file), ['10.0.0.0/8', 'fd00::/8', '10.0.0.1-10.0.0.9']);
    assert.deepEqual(parsePeerList('::ffff:10.0.0.0/104'), ['::ffff:10.0.0.0/104']);
  });

  it('keep a peer out that is named by hand, and the reason is told', async (context) => {
    const folder = await makeFolder(context);
    const lists = ['--allow-peers', '127.0.0.0/8', '--deny-peers', '127.0.0.8', '--deny-peers', '127.0.0.9'];
    const args = ['-o', folder, '--port', '0', '--timeout', '2s', '--peer', '127.0.0.9:1', ...lists];
    const { exitCode, stderr } = await haul('get', LINK, ...args);
    assert.equal(exitCode, 3, stderr);
    assert.match(stderr, /\(--timeout\): no peer answers: 1 the list of peers that are allowed or denied keeps it out/);
  });

  it('that are wrong are a usage error that names the line', async (context) => {
    const folder = await makeFolder(context);
    const file = join(folder, 'list.txt');
    await writeFile(file, '10.0.0.0/8\n# nothing\n10.0.0.0/33\n');
    const cases: [string, RegExp][] = [
      [file, /Line 3 is "10\.0\.0\.0\/33", not an address, a network \(10\.0\.0\.0\/8, fd00::\/8\) or a range/],
      ['10.0.0/8', /It is not an address, a network .*, and no such file is there\./],
      [folder, /--deny-peers <file>' argument '[^']*' is invalid\. .*directory/],
    ];
    for (const [value, message] of cases) {
      const { exitCode, stderr } = await haul('get', LINK, '--deny-peers', value);
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, message);
    }
  });
});
