/** Publishing over the folder store: bytes, names, races and refusals. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Depot, type DepotOptions } from '../../src/depot/publish.js';
import type { PublishRequest } from '../../src/depot/publish-port.js';
import { type FolderStore, openFolderStore } from '../../src/depot/store/folders.js';
import { HaulError } from '../../src/errors.js';
import { MemoryCatalogue } from './memory-catalogue.js';

const KIB = 1024;
const MIB = 1024 * KIB;

interface Bench {
  readonly depot: Depot;
  readonly store: FolderStore;
  readonly catalogue: MemoryCatalogue;
  readonly folder: string;
}

async function bench(t: TestContext, options: Partial<DepotOptions> = {}): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'depot-'));
  const store = await openFolderStore({ folder });
  const catalogue = new MemoryCatalogue();
  const depot = new Depot({ store, catalogue, ...options });
  t.after(async () => {
    await depot.close();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { depot, store, catalogue, folder };
}

function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = seed; at < length; at++) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}

async function* chunksOf(bytes: Buffer, size = 64 * KIB): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function request(name: string, bytes: Buffer, more: Partial<PublishRequest> = {}): PublishRequest {
  return {
    name: `artifacts/${name}`,
    lengthBytes: bytes.length,
    sha256: null,
    contentType: null,
    retentionDays: null,
    overwrite: false,
    onlyIfNew: false,
    body: chunksOf(bytes),
    signal: new AbortController().signal,
    ...more,
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function contentOf({ depot }: Bench, name: string): Promise<Buffer> {
  const row = await depot.find(`artifacts/${name}`);
  assert.ok(row !== null);
  return read(depot.read(row, { begin: 0, end: row.lengthBytes }));
}

async function read(slices: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const slice of slices) parts.push(Buffer.from(slice));
  return Buffer.concat(parts);
}

function code(expected: string): (error: unknown) => boolean {
  return (error) => HaulError.is(error) && error.code === expected;
}

describe('publishing', () => {
  for (const length of [0, 1, 5 * KIB, 64 * KIB, 64 * KIB + 1, 3 * MIB, 9 * MIB + 17]) {
    for (const isKnown of [true, false]) {
      const how = isKnown ? 'announced' : 'not announced';
      test(`${length} bytes, ${how}, come out as they went in`, async (t) => {
        const made = await bench(t);
        const bytes = bytesOf(length);
        const sent = request('a/file.bin', bytes, isKnown ? {} : { lengthBytes: null });
        const { kind, row } = await made.depot.publish(sent);
        assert.equal(kind, 'created');
        assert.equal(row.sha256, sha256(bytes));
        assert.equal(row.infoHash !== null, length >= 4 * MIB);
        assert.ok((await contentOf(made, 'a/file.bin')).equals(bytes));
        assert.equal(made.store.usedBytes, length);
        assert.equal((await made.depot.publish(request('a/file.bin', bytes))).kind, 'unchanged');
        assert.equal(made.store.usedBytes, length);
        const again = await made.depot.publish(request('b/file.bin', bytes, { lengthBytes: null }));
        assert.equal(again.row.infoHash, row.infoHash);
        await made.depot.remove('artifacts/a/file.bin');
        assert.ok((await contentOf(made, 'b/file.bin')).equals(bytes));
        await made.depot.remove('artifacts/b/file.bin');
        assert.equal(made.store.usedBytes, 0);
        assert.equal(await made.store.stat(row.sha256), null);
      });
    }
  }

  test('other bytes need leave to replace, and what is replaced goes', async (t) => {
    const made = await bench(t);
    const [one, two] = [bytesOf(100), bytesOf(200, 2)];
    await made.depot.publish(request('x', one));
    await assert.rejects(made.depot.publish(request('x', two)), code('FILE_EXISTS'));
    await assert.rejects(made.depot.publish(request('x', one, { onlyIfNew: true })), code('FILE_EXISTS'));
    assert.ok((await contentOf(made, 'x')).equals(one));
    assert.equal((await made.depot.publish(request('x', two, { overwrite: true }))).kind, 'replaced');
    assert.ok((await contentOf(made, 'x')).equals(two));
    assert.equal(made.store.usedBytes, 200);
  });
});
