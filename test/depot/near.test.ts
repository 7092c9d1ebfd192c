/** What is read without a thread is what a thread would read, or an error. */
import assert from 'node:assert/strict';
import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { openFolderStore } from '../../src/depot/store/folders.js';
import { type Nearness, openNow, stampOfOpen } from '../../src/depot/store/near.js';
import { readSlices } from '../../src/depot/store/reading.js';
import { folderOf } from './agent-harness.js';
import { bytesOf, code, KIB, MIB, read, sha256 } from './depot-kit.js';
import { quickFolder } from './quick-folder.js';
import { put } from './store-conformance.js';

const BYTES = bytesOf(3 * MIB + 5);

async function slices(
  context: TestContext,
  nearness: Nearness,
  between: (path: string, count: number) => void,
): Promise<Buffer> {
  const path = join(await folderOf(context), 'blob');
  await writeFile(path, BYTES);
  const handle = openNow(path, constants.O_RDONLY);
  const stamp = await stampOfOpen(handle.fd, nearness);
  const parts: Buffer[] = [];
  for await (const slice of readSlices({ handle, stamp, nearness }, { begin: 7, end: BYTES.length }, 'x')) {
    parts.push(Buffer.from(slice));
    between(path, parts.length);
  }
  return Buffer.concat(parts);
}

for (const nearness of ['memory', 'cached', 'far'] as const) {
  test(`${nearness}: all of a file, and what is changed while it is read ends it`, async (context) => {
    assert.ok((await slices(context, nearness, () => {})).equals(BYTES.subarray(7)));
    const changes = [
      (fd: number) => ftruncateSync(fd, MIB),
      (fd: number) => void writeSync(fd, Buffer.from('x'), 0, 1, 3 * MIB),
    ];
    for (const change of changes) {
      const reading = slices(context, nearness, (path, count) => {
        if (count > 1) return;
        const fd = openSync(path, 'r+');
        change(fd);
        closeSync(fd);
      });
      await assert.rejects(reading, { code: 'BAD_DATA' });
    }
  });
}

for (const where of ['in memory', 'on a disk']) {
  test(`a known blob that lies ${where}: changed, replaced by a link, gone, and put back`, async (context) => {
    const folder = where === 'in memory' ? await quickFolder(openScope(context)) : await folderOf(context);
    const store = await openFolderStore({ folder: join(folder, 'depot') });
    context.after(() => store.close());
    for (const lengthBytes of [10 * KIB, 200 * KIB, 2 * MIB]) {
      const bytes = bytesOf(lengthBytes);
      const digest = sha256(bytes);
      await put(store, bytes);
      const whole = { begin: 0, end: lengthBytes };
      assert.ok((await read(store.read(digest, whole))).equals(bytes));
      const place = join(folder, 'depot', 'blobs', digest.slice(0, 2), digest);
      const aside = join(folder, 'aside');
      await rename(place, aside);
      await assert.rejects(read(store.read(digest, whole)), code('NOT_FOUND'));
      await symlink(aside, place);
      await assert.rejects(read(store.read(digest, whole)), code('BAD_DATA'));
      await rename(aside, place);
      assert.ok((await read(store.read(digest, whole))).equals(bytes));
      const other = Buffer.from(bytes);
      other[lengthBytes - 1]! ^= 1;
      await writeFile(aside, other);
      await rename(aside, place);
      await assert.rejects(read(store.read(digest, whole)), code('BAD_DATA'));
    }
  });
}
