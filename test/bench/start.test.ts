/** The bench of start-up. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ResultsFile } from '../../bench/support/results.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';

const RUN = fileURLToPath(new URL('../../bench/run.js', import.meta.url));

test('start-up is measured against an empty program in the same turn', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const folder = await tempFolder(openScope(t));
  const out = path.join(folder, 'start.json');
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const words = ['start', '--small', '--folder', folder, '--out', out];
  await promisify(execFile)(process.execPath, [RUN, ...words], {
    env: { ...env, RQBIT: path.join(folder, 'no-rqbit') },
  });
  const { runs, skipped } = JSON.parse(await readFile(out, 'utf8')) as ResultsFile;
  assert.deepEqual(
    runs.map(({ series }) => series),
    ['node, an empty program', 'haul --version', 'haul get, 1 MiB'],
  );
  assert.deepEqual(
    skipped.map(({ series }) => series),
    ['rqbit'],
  );
  const [node, version, get] = runs.map(({ figures }) => figures);
  assert.equal(node!.timesNode, 1);
  assert.equal(version!.timesNode, version!.ms! / node!.ms!);
  for (const { ms, cpuMs } of [node!, version!, get!]) assert.ok(ms! > 0 && cpuMs! > 0);
  assert.ok(get!.startMs! > 0 && get!.startMs! <= get!.ms!);
});
