/** Files that are hashed while they are written: threads are used again, and what ends one of them harms no other. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FileSha256 } from '../../src/content/file-sha256.js';
import { makeFolder } from '../storage/scene.js';

const folder = makeFolder();
after(() => rmSync(folder, { recursive: true }));

const MIB = 2 ** 20;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function fileOf(name: string, lengthBytes: number): { readonly path: string; readonly bytes: Buffer } {
  const path = join(folder, name);
  const bytes = Buffer.alloc(lengthBytes, `${name} `);
  writeFileSync(path, bytes);
  return { path, bytes };
}

test('one file after the other, with and without a mark, and an empty one; not each has a new thread', async (t) => {
  let begun = 0;
  const count = (): number => ++begun;
  process.on('worker', count);
  t.after(() => process.off('worker', count));
  for (const [index, lengthBytes] of [9 * MIB + 1, 5 * MIB, 0, 6 * MIB].entries()) {
    const { path, bytes } = fileOf(`after-${index}`, lengthBytes);
    const markBytes = index % 2 === 0 ? null : 3 * MIB + 7;
    const hash = new FileSha256(path, markBytes);
    hash.advance(Math.min(lengthBytes, 5 * MIB));
    const { digest, markDigest } = await hash.digest(lengthBytes);
    assert.equal(digest, sha256(bytes));
    assert.equal(markDigest, markBytes === null ? null : sha256(bytes.subarray(0, markBytes)));
  }
  assert.ok(begun > 0 && begun < 4, `${begun} threads`);
});

test('several at once, of which one fails and one is given up: the others are right, and the next one', async () => {
  const files = Array.from({ length: 4 }, (_, index) => fileOf(`beside-${index}`, (5 + index) * MIB));
  const hashes = files.map(({ path }) => new FileSha256(path));
  for (const [index, hash] of hashes.entries()) hash.advance((5 + index) * MIB);
  hashes[1]!.close();
  truncateSync(files[2]!.path, MIB);
  const cut = new FileSha256(files[2]!.path);
  await assert.rejects(cut.digest(7 * MIB), { code: 'IO' });
  await assert.rejects(hashes[1]!.digest(6 * MIB), { code: 'CLOSED' });
  for (const index of [0, 3]) {
    const { bytes } = files[index]!;
    assert.equal((await hashes[index]!.digest(bytes.length)).digest, sha256(bytes));
  }
  hashes[2]!.close();
  const { path, bytes } = fileOf('next', 4 * MIB);
  assert.equal((await new FileSha256(path).digest(bytes.length)).digest, sha256(bytes));
  const missing = new FileSha256(join(folder, 'missing'));
  await assert.rejects(missing.digest(1), { code: 'NOT_FOUND' });
  assert.equal((await new FileSha256(path).digest(bytes.length)).digest, sha256(bytes));
});
