/** The systemd units: systemd itself finds no fault in them, and little that they leave open. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { haul } from '../cli/harness.js';
import { requirePrograms } from '../support/requirements.js';

const exec = promisify(execFile);
const UNITS = ['haul-depot.service', 'haul-agent.service'];
const COMMAND = '/usr/local/bin/haul';
/** 0 is all closed, 10 all open; docs/operate.md names the figure. */
const EXPOSURE = '1.4';

const unitPath = (unit: string): string => path.join(PACKAGE_ROOT, 'deploy/systemd', unit);
const readUnit = (unit: string): Promise<string> => readFile(unitPath(unit), 'utf8');

/** The words behind `haul` in ExecStart. */
async function startWords(unit: string): Promise<string[]> {
  const line = /^ExecStart=(.*)$/m.exec(await readUnit(unit))?.[1] ?? '';
  const [command, ...words] = line.split(' ');
  assert.equal(command, COMMAND);
  return words;
}

test('systemd finds no fault in the units', async (t) => {
  if (await requirePrograms(t, ['systemd-analyze'])) return;
  const folder = await tempFolder(openScope(t));
  for (const unit of UNITS) {
    const copy = path.join(folder, unit);
    // It looks whether the program is there, which it is where haul is installed.
    await writeFile(copy, (await readUnit(unit)).replace(COMMAND, process.execPath));
    const { stdout, stderr } = await exec('systemd-analyze', ['verify', '--man=no', copy]);
    const about = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(unit));
    assert.deepEqual(about, [], unit);
  }
});

test(`the units leave ${EXPOSURE} of 10 open, and the operator's guide says so`, async (t) => {
  if (await requirePrograms(t, ['systemd-analyze'])) return;
  for (const unit of UNITS) {
    const { stdout } = await exec('systemd-analyze', ['security', '--offline=true', '--no-pager', unitPath(unit)]);
    const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1];
    // Later versions of systemd look at more; what they find must stay small.
    assert.ok(Number(exposure) <= Number(EXPOSURE) + 0.6, `${unit}: ${exposure}`);
  }
  const page = await readFile(path.join(PACKAGE_ROOT, 'docs/operate.md'), 'utf8');
  assert.match(page, new RegExp(`exposure ${EXPOSURE.replace('.', '\\.')}`));
});

for (const unit of UNITS) {
  test(`${unit} starts haul with options that it knows`, async () => {
    const [command = '', ...words] = await startWords(unit);
    const { stdout, exitCode } = await haul(command, '--help');
    assert.equal(exitCode, 0);
    const example = /^# .*_OPTIONS="([^"]*)"/m.exec(await readUnit(unit))?.[1] ?? '';
    const options = [...words, ...example.split(' ')].filter((word) => word.startsWith('--'));
    assert.ok(options.length >= 3, options.join(' '));
    for (const option of options) assert.match(stdout, new RegExp(`^ {2}${option} `, 'm'));
  });
}
