/** The scripts of `haul completion` offer what the help has, in the shells that are here. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { missingTool } from '../../lab/clients/client.js';
import { type CommandTable, tableOf } from '../../src/cli/command-table.js';
import { makeProgram } from '../../src/cli/program.js';
import { requirePrograms } from '../support/requirements.js';
import { haul, makeFolder } from './harness.js';

const exec = promisify(execFile);

/** What bash offers for the last of these words, which is being written. */
async function offered(folder: string, ...words: string[]): Promise<string[]> {
  const code = `source ../haul.bash
    COMP_WORDS=(haul "$@"); COMP_CWORD=$#; _haul
    for word in "\${COMPREPLY[@]}"; do printf '%s\\n' "$word"; done; complete -p haul >&2`;
  const { stdout, stderr } = await exec('bash', ['--norc', '-c', code, 'bash', ...words], { cwd: folder });
  assert.equal(stderr, 'complete -F _haul haul\n');
  return stdout.split('\n').slice(0, -1).sort();
}

/** What zsh and fish print that run this code in a folder with the script of `haul completion` beside it. */
const RUN: Readonly<Record<string, readonly string[]>> = {
  // Outside of its line editor zsh has no completion: what the script hands over is printed.
  zsh: [
    '-fc',
    `compdef() { :; }; _describe() { print -rl -- "\${(@P)4}"; }; _arguments() { print -rl -- "$@"; }
     source ../haul.zsh; words=(haul "\${(@)argv}"); CURRENT=$#words; _haul`,
    'zsh',
  ],
  fish: ['--no-config', '-c', 'source ../haul.fish; complete -C "haul $argv"'],
};

async function printed(shell: string, folder: string, ...words: string[]): Promise<string[]> {
  const env = { ...process.env, HOME: folder };
  const { stdout, stderr } = await exec(shell, [...RUN[shell]!, ...words], { cwd: folder, env });
  assert.equal(stderr, '');
  return stdout.split('\n').slice(0, -1);
}

describe('haul completion', () => {
  let table: CommandTable;
  before(async () => {
    table = tableOf(await makeProgram(async () => {}, undefined));
  });

  it('offers commands, their options, their values, files and folders in bash', async (context) => {
    const outer = await makeFolder(context);
    const folder = join(outer, 'here');
    await mkdir(join(folder, 'a folder'), { recursive: true });
    await writeFile(join(folder, 'a.torrent'), '');
    await writeFile(join(folder, 'a.iso'), '');
    const { exitCode, stdout } = await haul('completion', 'bash');
    assert.equal(exitCode, 0);
    await writeFile(join(outer, 'haul.bash'), stdout);

    const names = table.commands.map(({ name }) => name);
    assert.ok(names.includes('get') && names.includes('completion') && names.includes('bench'));
    assert.deepEqual(await offered(folder, ''), [...names, ...table.options.flatMap(({ flags }) => flags)].sort());
    assert.deepEqual(await offered(folder, 's'), ['seed', 'share']);
    for (const { name, options } of table.commands) {
      const flags = options.flatMap((option) => option.flags);
      assert.deepEqual(await offered(folder, name, '-'), flags.sort(), name);
    }
    assert.deepEqual(await offered(folder, 'get', 'x.torrent', '--out'), ['--output']);
    assert.deepEqual(await offered(folder, 'get', 'a'), ['a folder', 'a.torrent']);
    assert.deepEqual(await offered(folder, 'share', 'a'), ['a folder', 'a.iso', 'a.torrent']);
    assert.deepEqual(await offered(folder, 'get', '-o', 'a'), ['a folder']);
    assert.deepEqual(await offered(folder, 'get', '--storage', ''), ['mapped', 'positional']);
    assert.deepEqual(await offered(folder, 'get', '--storage', '=', 'm'), ['mapped']);
    assert.deepEqual(await offered(folder, 'get', '--storage', '='), ['mapped', 'positional']);
    assert.deepEqual(await offered(folder, 'get', '--port', ''), []);
    assert.deepEqual(await offered(folder, 'completion', ''), ['bash', 'fish', 'zsh']);
  });

  for (const shell of ['zsh', 'fish']) {
    it(`is understood by ${shell}, where that is installed, and names every option`, async (context) => {
      const { exitCode, stdout } = await haul('completion', shell);
      assert.equal(exitCode, 0);
      for (const { name, options } of table.commands) {
        assert.ok(stdout.includes(name), name);
        for (const flag of options.flatMap(({ flags }) => flags)) {
          const word = shell === 'fish' ? flag.replace(/^--/, '-l ').replace(/^-(?=\w$)/, '-s ') : flag;
          assert.ok(stdout.includes(word), `${name} ${flag}`);
        }
      }
      if ((await missingTool([shell])) !== null) return;
      const file = join(await makeFolder(context), 'script');
      await writeFile(file, stdout);
      await exec(shell, ['-n', file]);
    });
  }

  it('offers commands, options and values in fish, and files only where they are meant', async (context) => {
    if (await requirePrograms(context, ['fish'])) return;
    const outer = await makeFolder(context);
    const folder = join(outer, 'here');
    await mkdir(join(folder, 'a folder'), { recursive: true });
    await writeFile(join(folder, 'a.iso'), '');
    await writeFile(join(outer, 'haul.fish'), (await haul('completion', 'fish')).stdout);
    const words = async (...given: string[]) =>
      (await printed('fish', folder, ...given)).map((line) => line.split('\t', 1)[0]!).sort();
    assert.deepEqual(await words(''), table.commands.map(({ name }) => name).sort());
    assert.deepEqual(await words('s'), ['seed', 'share']);
    for (const { name, options } of table.commands) {
      const flags = options.flatMap((option) => option.flags).filter((flag) => flag.startsWith('--'));
      if (flags.length > 0) assert.deepEqual(await words(name, '--'), flags.sort(), name);
    }
    assert.deepEqual(await words('get', '--storage', ''), ['mapped', 'positional']);
    assert.deepEqual(await words('get', '--port', ''), []);
    assert.deepEqual(await words('get', '--output', ''), ['a folder/']);
    assert.deepEqual(await words('share', 'a'), ['a folder/', 'a.iso']);
    assert.deepEqual(await words('completion', ''), ['bash', 'fish', 'zsh']);
  });

  it('hands commands and every option to the functions of zsh', async (context) => {
    if (await requirePrograms(context, ['zsh'])) return;
    const outer = await makeFolder(context);
    const folder = join(outer, 'here');
    await mkdir(folder);
    await writeFile(join(outer, 'haul.zsh'), (await haul('completion', 'zsh')).stdout);
    const names = (await printed('zsh', folder, '')).map((line) => line.split(':', 1)[0]!);
    assert.deepEqual(
      names,
      table.commands.map(({ name }) => name),
    );
    for (const { name, options } of table.commands) {
      const specs = await printed('zsh', folder, name, '');
      const flags = specs.flatMap((spec) => /^\*(-[^[]+)\[/.exec(spec)?.[1] ?? []);
      assert.deepEqual(flags.sort(), options.flatMap((option) => option.flags).sort(), name);
    }
  });

  it('refuses a shell that it does not know', async () => {
    const { exitCode, stderr } = await haul('completion', 'tcsh');
    assert.equal(exitCode, 2);
    assert.match(stderr, /Allowed choices are bash, zsh, fish/);
  });
});
