/** The manual page is one that man shows without a complaint. (That it is fresh, made-pages.test.ts sees.) */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { makeProgram } from '../../src/cli/program.js';
import { requirePrograms } from '../support/requirements.js';

const exec = promisify(execFile);

test('man/haul.1 is shown by groff without a warning, with every command and option', async (context) => {
  if (await requirePrograms(context, ['groff'])) return;
  const page = path.join(PACKAGE_ROOT, 'man/haul.1');
  const { stdout, stderr } = await exec('groff', ['-man', '-Tascii', '-P-cbu', '-ww', '-rLL=100n', page], {
    maxBuffer: 1 << 24,
  });
  assert.equal(stderr, '');
  const program = await makeProgram(async () => {}, undefined);
  for (const command of program.commands) {
    assert.ok(stdout.includes(`haul ${command.name()} `), command.name());
    if (command.name() === 'bench') continue;
    for (const { flags } of command.createHelp().visibleOptions(command)) assert.ok(stdout.includes(flags), flags);
  }
});

test('the package carries the manual page', async () => {
  const manifest = JSON.parse(await readFile(path.join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    man: string;
    files: string[];
  };
  assert.equal(manifest.man, './man/haul.1');
  assert.ok(manifest.files.includes('man'));
});
