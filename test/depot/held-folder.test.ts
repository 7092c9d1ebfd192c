/** What a killed `haul depot check` or `rebuild` leaves in the temporary folder goes with the next one. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { MAIN } from '../cli/harness.js';
import { DepotScene, publish } from './depot-scene.js';

/** Opens a copy of a catalogue, and is killed. */
const KILLED = `
const { openCatalogueCopy } = await import(process.argv[1]);
await openCatalogueCopy({ async *list() {} }, process.argv[2]);
process.kill(process.pid, 'SIGKILL');
`;

test('a copy of a catalogue goes with its process, or with the next one where that was killed', async (t) => {
  const scope = openScope(t);
  const scene = await DepotScene.make(scope);
  await scene.with((open) => publish(open, 'a', Buffer.from('bytes')));
  const temporary = await tempFolder(scope);
  const env = { ...process.env, TMPDIR: temporary };
  const module = new URL('../../src/depot/catalogue-copy.js', import.meta.url).href;
  const script = ['--input-type=module', '--eval', KILLED, '--', module, scene.catalogueFolder];
  const killed = promisify(execFile)(process.execPath, script, { env });
  await assert.rejects(killed, (error: { signal?: string }) => error.signal === 'SIGKILL');
  const [left] = await readdir(temporary);
  assert.match(String(left), /^haul-catalogue-/);
  const check = () => promisify(execFile)(process.execPath, [MAIN, 'depot', 'check', '--data', scene.folder], { env });
  await check();
  assert.deepEqual(await readdir(temporary), [left], 'it may be just being made');
  await utimes(join(temporary, left!), 0, 0);
  await check();
  assert.deepEqual(await readdir(temporary), []);
});
