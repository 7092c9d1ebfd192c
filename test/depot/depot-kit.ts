/** A depot over a folder and a catalogue in memory, and what to publish there. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Depot, type DepotOptions } from '../../src/depot/publish.js';
import type { PublishRequest } from '../../src/depot/publish-port.js';
import { type FolderStore, openFolderStore } from '../../src/depot/store/folders.js';
import { HaulError } from '../../src/errors.js';
import { MemoryCatalogue } from './memory-catalogue.js';

export const KIB: number = 1024;
export const MIB: number = 1024 * KIB;

export interface Kit {
  readonly depot: Depot;
  readonly store: FolderStore;
  readonly catalogue: MemoryCatalogue;
  readonly folder: string;
}

export async function openKit(t: TestContext, options: Partial<DepotOptions> = {}): Promise<Kit> {
  const folder = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'depot-'));
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

export function bytesOf(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = seed; at < length; at++) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    bytes[at] = state >> 16;
  }
  return bytes;
}

export async function* chunksOf(bytes: Buffer, size = 64 * KIB): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export function request(name: string, bytes: Buffer, more: Partial<PublishRequest> = {}): PublishRequest {
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

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function contentOf({ depot }: Pick<Kit, 'depot'>, name: string): Promise<Buffer> {
  const row = await depot.find(`artifacts/${name}`);
  assert.ok(row !== null);
  return read(depot.read(row, { begin: 0, end: row.lengthBytes }));
}

export async function read(slices: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const slice of slices) parts.push(Buffer.from(slice));
  return Buffer.concat(parts);
}

export function code(expected: string): (error: unknown) => boolean {
  return (error) => HaulError.is(error) && error.code === expected;
}
