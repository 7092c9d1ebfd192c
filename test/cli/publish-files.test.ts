/** Which files `haul publish` finds, what they are called, and what it says of those that it cannot send. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { archiveBody, digestOf } from '../../src/cli/publish-body.js';
import { findFiles } from '../../src/cli/publish-files.js';
import { makeFolder } from './harness.js';

const never = new AbortController().signal;

async function namesOf(paths: readonly string[], missing: 'warn' | 'error' = 'warn'): Promise<string[]> {
  const { files } = await findFiles(paths, '/', { withHidden: false, missing });
  return files.map(({ name }) => name);
}

test('names do not depend on what of the paths is there', async (context) => {
  const folder = await makeFolder(context);
  for (const name of ['dist/js', 'a']) await mkdir(join(folder, name), { recursive: true });
  for (const name of ['dist/js/x', 'a/one']) await writeFile(join(folder, name), name);
  const names = (...paths: string[]) => namesOf(paths.map((path) => join(folder, path)));
  assert.deepEqual(await names('dist'), ['js/x']);
  assert.deepEqual(await names('dist', 'coverage'), ['dist/js/x']);
  assert.deepEqual(await names('dist/js', 'coverage/*.xml'), ['dist/js/x']);
  assert.deepEqual(await names('a/one', 'a/two'), ['one']);
  assert.deepEqual(await names('dist', 'dist/js/deep/none'), ['js/x']);
  assert.deepEqual(await names('gone/*', 'gone'), []);
});

test('what is named plainly and is no file is an error, as what is not there', async (context) => {
  const folder = await makeFolder(context);
  await promisify(execFile)('mkfifo', [join(folder, 'pipe')]);
  await writeFile(join(folder, 'x'), 'x');
  await assert.rejects(namesOf([join(folder, 'pipe')], 'error'), { code: 'BAD_ARGUMENT', message: /pipe is no file/ });
  assert.deepEqual(await namesOf([join(folder, 'pipe'), join(folder, 'x')]), ['x']);
  assert.deepEqual(await namesOf([folder], 'error'), ['x']);
});

test('a name that cannot be is told with the file that has it', async (context) => {
  const folder = await makeFolder(context);
  await writeFile(join(folder, 'a:b'), 'x');
  await assert.rejects(namesOf([folder]), {
    code: 'BAD_ARGUMENT',
    message: /\/a:b: the name "a:b" begins with a drive/,
  });
  await writeFile(Buffer.concat([Buffer.from(`${folder}/a`), Buffer.from([0xff])]), 'x');
  await assert.rejects(namesOf([folder]), { code: 'BAD_ARGUMENT', message: /its name is not UTF-8; rename it/ });
});

test('a log that grows is in an archive as long as it was, the same each time it is read', async (context) => {
  const folder = await makeFolder(context);
  await writeFile(join(folder, 'log'), 'one\n');
  const { files } = await findFiles([folder], '/', { withHidden: false, missing: 'error' });
  const grown: string[] = [];
  const body = archiveBody('x.tar', files, 0, (path) => grown.push(path));
  const first = await digestOf(body, () => {}, never);
  assert.deepEqual(grown, []);
  await appendFile(join(folder, 'log'), 'two\n');
  assert.deepEqual(await digestOf(body, () => {}, never), first);
  assert.deepEqual(await digestOf(body, () => {}, never), first);
  assert.deepEqual(grown, [join(folder, 'log')]);
  await writeFile(join(folder, 'log'), 'x');
  await assert.rejects(
    digestOf(body, () => {}, never),
    { code: 'BAD_DATA' },
  );
});
