/**
 * Real input: the packages this project is built on, thousands of small files with empty ones, links and programs among
 * them.
 */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { readTree, treeDifferences } from '../../lab/tree.js';
import { makeFolder, start } from './harness.js';

const PACKAGES = join(PACKAGE_ROOT, 'node_modules');
/** Some of them, with the links that lead to them. What other tests install meanwhile is none of these. */
const TAKEN = /^(?:$|@fastify|fast-json-stringify|fastify|pino|semver|undici|\.bin(?:$|\/(?:pino|semver)$))(?:\/|$)/;

function isTaken(file: string): boolean {
  return TAKEN.test(relative(PACKAGES, file));
}

test('a real tree of packages arrives whole, with its empty files, links and executable bits', async (context) => {
  const folder = await makeFolder(context);
  const source = join(folder, 'node_modules');
  await cp(PACKAGES, source, { recursive: true, verbatimSymlinks: true, filter: isTaken });
  const entries = [...(await readTree(source)).values()];
  assert.ok(entries.length > 1000);
  assert.ok(entries.some(({ isSymlink }) => isSymlink) && entries.some(({ isExecutable }) => isExecutable));
  assert.ok(entries.some(({ isSymlink, lengthBytes }) => !isSymlink && lengthBytes === 0));

  const output = join(folder, 'got');
  const share = start(context, 'share', source, '--http', '0', '--port', '0', '--json');
  const { loopbackUrl } = await share.line((line) => line.type === 'listening');
  const got = await start(context, 'get', String(loopbackUrl), '--output', output, '--port', '0', '--json').finished;
  assert.equal(got.exitCode, 0, got.stderr);
  assert.deepEqual(await treeDifferences(source, join(output, 'node_modules'), { modes: true }), []);
  assert.equal((await share.stop()).exitCode, 0);
});
