/** Bytes on their way into a file: what a reader has in hand stays as it is, however much comes meanwhile. */
import assert from 'node:assert/strict';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Spool } from '../../src/depot/agent/spool.js';
import { bytesOf, folderOf } from './agent-harness.js';

const MIB = 2 ** 20;

async function fileOf(context: TestContext): Promise<{ path: string; file: FileHandle; spool: Spool }> {
  const path = join(await folderOf(context), 'blob');
  const file = await open(path, 'wx+');
  context.after(() => file.close());
  return { path, file, spool: new Spool(path) };
}

/** In pieces of this size, as a connection brings them: no more while there is no room. */
async function pourInto(spool: Spool, bytes: Uint8Array, pieceBytes: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const part = bytes.subarray(at, at + pieceBytes);
    const room = spool.room();
    const count = Math.min(room.length, part.length);
    room.set(part.subarray(0, count));
    at += count;
    if (spool.came(count)) continue;
    await new Promise<void>((resolve) => {
      spool.onRoom = resolve;
    });
    if (spool.failure !== null) throw spool.failure;
  }
}

test('a part that a reader holds is not written over, and what follows comes from the file', async (context) => {
  const { path, file, spool } = await fileOf(context);
  const bytes = bytesOf(24 * MIB + 7);
  await pourInto(spool, bytes.subarray(0, 100_000), 60_000);
  const held = spool.inMemory(10, 90_000)!;
  spool.start(file);
  await pourInto(spool, bytes.subarray(100_000), 200_000);
  await spool.flush();
  assert.deepEqual(held.bytes, bytes.subarray(10, 90_000));
  held.free();
  assert.equal(spool.inMemory(90_000, bytes.length), null);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const part = spool.inMemory(at, bytes.length) ?? (await spool.inFile(at, bytes.length));
    parts.push(Buffer.from(part.bytes));
    at += part.bytes.length;
    part.free();
  }
  assert.ok(Buffer.concat(parts).equals(bytes));
  assert.ok((await readFile(path)).equals(bytes));
});

test('before there is a file bytes wait, as many as may; one that cannot be written ends it', async (context) => {
  const { spool } = await fileOf(context);
  let here = 0;
  do here += spool.room().length;
  while (spool.came(spool.room().length));
  assert.equal(here, 8 * MIB);
  let wasTold = false;
  spool.onRoom = () => {
    wasTold = true;
  };
  spool.fail(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  assert.equal(wasTold, true);
  await assert.rejects(spool.flush(), { code: 'NO_SPACE' });
});
