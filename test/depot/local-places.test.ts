/** Where a cached blob lies: only of what an artifact can be called, and only for this machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlobCache } from '../../src/depot/agent/blob-cache.js';
import type { Directory } from '../../src/depot/agent/directory.js';
import { LocalPlaces } from '../../src/depot/agent/local-places.js';

test('what is no name of an artifact is asked of nobody', async () => {
  const asked: string[] = [];
  const directory = {
    resolve: async (name: string) => {
      asked.push(name);
      return null;
    },
  };
  const places = new LocalPlaces({} as BlobCache, directory as unknown as Directory);
  const hostile = [
    'artifacts/..',
    'artifacts/../status',
    'artifacts/a/../../metrics',
    'artifacts/./a',
    'artifacts/a\\b',
    'artifacts/a\0',
    'artifacts//a',
    'artifacts/a/',
    'cas/../ac/0',
    'cas/abc',
    `ac/${'0'.repeat(63)}/`,
  ];
  for (const name of hostile) await assert.rejects(places.find(name, '127.0.0.1'), { code: 'BAD_ARGUMENT' }, name);
  for (const name of ['', 'artifacts', 'artifacts/', 'blobs/x', '/artifacts/a', 'x/artifacts/a'])
    await assert.rejects(places.find(name, '127.0.0.1'), { status: 404 }, name);
  await assert.rejects(places.find('artifacts/a', '192.0.2.1'), { status: 403 });
  assert.deepEqual(asked, []);
  await assert.rejects(places.find('artifacts/a', '::ffff:127.0.0.1'));
  assert.deepEqual(asked, ['artifacts/a']);
});
