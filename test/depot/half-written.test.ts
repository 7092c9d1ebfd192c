import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { startDepot } from '../../src/index.js';
import { quickFolder } from './quick-folder.js';

test('what a depot that was killed had half written is gone when the next one serves', async (t) => {
  const data = join(await quickFolder(openScope(t)), 'depot');
  const open = () => startDepot({ data, httpPort: 0, engine: { port: 0 } });
  await (await open()).close(0);
  const before = (await readdir(data)).sort();
  for (const name of ['secret', 'clock', 'depot.json']) await writeFile(join(data, `${name}.new`), 'ha');
  await using _depot = await open();
  assert.deepEqual((await readdir(data)).sort(), before);
});
