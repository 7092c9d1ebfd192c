/** What docs/ci.md shows is run as each system would run it: its shell, its variables, a folder for each job. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { startChild } from '../../lab/child.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { haul, MAIN } from '../cli/harness.js';
import { requirePrograms } from '../support/requirements.js';

const exec = promisify(execFile);
const IMAGE = randomBytes(5_000_000);
const START_MS = 20_000;

type Variables = Readonly<Record<string, string>>;
interface GitLab {
  readonly variables?: Variables;
  readonly build: { script: string[] };
  readonly test: { script: string[] };
}
interface Buildkite {
  readonly steps: (string | { label: string; command: string[] })[];
}

const scope = new Scope();
let page = '';
let root = '';
let ours: Variables = {};
let jobs = 0;

async function program(file: string, text: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
}

/** The code of a section of the page, in order. */
function codeOf(section: string, language: string): string[] {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? '';
  const found = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter((match) => match[1] === language);
  assert.ok(found.length > 0, `${section} has ${language}`);
  return found.map((match) => match[2]!);
}

/** In an empty checkout, where `./build` makes the image and `./test` wants it whole. */
async function run(shell: readonly string[], script: string, variables: Variables): Promise<string> {
  const folder = path.join(root, `job-${++jobs}`);
  await mkdir(path.join(folder, 'dist/more'), { recursive: true });
  await writeFile(path.join(folder, 'dist/a.txt'), 'a');
  await writeFile(path.join(folder, 'dist/more/b.txt'), 'b');
  await program(path.join(folder, 'build'), `cp '${root}/image' image.raw`);
  await program(path.join(folder, 'test'), `cmp "$1" '${root}/image' && echo it is whole`);
  const [command = '', ...options] = shell;
  const PATH = `${path.join(root, 'bin')}:${process.env.PATH}`;
  const env = { PATH, HOME: folder, ...ours, ...variables };
  const { stdout, stderr } = await exec(command, [...options, script], { cwd: folder, env }).catch((error) => {
    throw new Error(`${error.message}\n${error.stdout}`);
  });
  assert.equal(`${stdout}${stderr}`.includes(ours.SWARMHAUL_TOKEN!), false, 'the token is in no log');
  return stdout;
}

before(async () => {
  page = await readFile(path.join(PACKAGE_ROOT, 'docs/ci.md'), 'utf8');
  root = await tempFolder(scope);
  await mkdir(path.join(root, 'bin'));
  await program(path.join(root, 'bin/haul'), `exec '${process.execPath}' '${MAIN}' "$@"`);
  await writeFile(path.join(root, 'image'), IMAGE);
  const tokens = path.join(root, 'tokens.json');
  // As the page says, but for the path.
  const words = /^haul (token create .*)$/m.exec(page)![1]!.match(/"[^"]*"|\S+/g)!;
  const given = words.map((word) => (word === '/etc/haul/tokens.json' ? tokens : word.replaceAll('"', '')));
  const { lines, stderr } = await haul(...given, '--json');
  const token = lines.find(({ type }) => type === 'result')?.token;
  assert.ok(typeof token === 'string', stderr);
  const options = ['--data', path.join(root, 'depot'), '--http', '0', '--port', '0', '--tokens', tokens];
  const more = ['--anonymous', 'none', '--json'];
  const depot = startChild(scope, process.execPath, [MAIN, 'depot', ...options, ...more]);
  const line = await depot.line('the depot listens', START_MS, (text) => text.includes('"listening"'));
  ours = { SWARMHAUL_DEPOT: String((JSON.parse(line) as { url: string }).url), SWARMHAUL_TOKEN: token };
});

after(() => scope.close());

async function runGitLab(yaml: GitLab, pipeline: string, more: Variables = {}): Promise<void> {
  const predefined = { CI_PROJECT_PATH: 'team/app', CI_PIPELINE_ID: pipeline, CI: 'true' };
  const own = { ...more, ...yaml.variables };
  const expanded = Object.entries(own).map(([name, value]) => [
    name,
    value.replace(/\$(\w+)/g, (_, word: keyof typeof predefined) => predefined[word]),
  ]);
  const variables = { ...(Object.fromEntries(expanded) as Variables), ...predefined, ...ours };
  const shell = ['bash', '-eo', 'pipefail', '-c'];
  await run(shell, yaml.build.script.join('\n'), variables);
  assert.match(await run(shell, yaml.test.script.join('\n'), variables), /^it is whole$/m);
}

describe('docs/ci.md', () => {
  test('GitLab: one job publishes, another fetches', async () => {
    await runGitLab(parse(codeOf('GitLab', 'yaml')[0]!) as GitLab, '4711');
  });

  test('GitLab: with curl alone', async (t: TestContext) => {
    if (await requirePrograms(t, ['curl'])) return;
    const [first, second] = codeOf('GitLab', 'yaml').map((text) => parse(text) as GitLab);
    await runGitLab(second!, '4712', first!.variables);
  });

  test('Jenkins: also a branch with a slash in its name', async () => {
    const [code = ''] = codeOf('Jenkins', 'groovy');
    const [build = '', check = '', ...others] = [...code.matchAll(/sh '''\n(.*?)'''/gs)].map((match) => match[1]!);
    assert.equal(others.length, 0);
    for (const [number, name] of ['team/app/main', 'my team/app/feature%2Flogin'].entries()) {
      const variables = { JOB_NAME: name, BUILD_NUMBER: String(number + 1) };
      await run(['sh', '-xe', '-c'], build, variables);
      assert.match(await run(['sh', '-xe', '-c'], check, variables), /^it is whole$/m);
    }
  });

  test('Buildkite: variables are kept for the job', async () => {
    const { steps } = parse(codeOf('Buildkite', 'yaml')[0]!) as Buildkite;
    const variables = { BUILDKITE_PIPELINE_SLUG: 'app', BUILDKITE_BUILD_NUMBER: '12' };
    const printed: string[] = [];
    for (const step of steps) {
      if (typeof step === 'string') continue;
      // What `pipeline upload` makes of it, in the shell of the agent.
      const script = step.command.join('\n');
      assert.doesNotMatch(script, /(?<!\$)\$(?!\$)/);
      printed.push(await run(['bash', '-e', '-c'], script.replaceAll('$$', '$'), variables));
    }
    assert.match(printed.at(-1)!, /^it is whole$/m);
  });

  test('any shell: published with its digest, fetched, compared; a folder there and back', async (t: TestContext) => {
    if (await requirePrograms(t, ['curl'])) return;
    const [publish = '', fetch = '', folder = ''] = codeOf('Any shell', 'sh');
    const variables = { BUILD_ID: '42' };
    await run(['sh', '-c'], publish, variables);
    await run(['sh', '-c'], publish, variables);
    assert.match(await run(['sh', '-c'], fetch, variables), /^image\.raw: OK$/m);
    await run(['sh', '-c'], folder, variables);
    const fetched = await readdir(path.join(root, `job-${jobs}`, 'fetched'), { recursive: true });
    assert.deepEqual(fetched.sort(), ['a.txt', 'more', 'more/b.txt']);
  });

  test('a job fails where its publishing is refused', async (t: TestContext) => {
    if (await requirePrograms(t, ['curl'])) return;
    const [publish = ''] = codeOf('Any shell', 'sh');
    const wrong = { BUILD_ID: '43', SWARMHAUL_TOKEN: 'no-token-that-is-known' };
    await assert.rejects(run(['sh', '-c'], publish, wrong), /401/);
    const [gitlab] = codeOf('GitLab', 'yaml').map((text) => parse(text) as GitLab);
    const script = gitlab!.build.script.join('\n');
    await assert.rejects(run(['bash', '-eo', 'pipefail', '-c'], script, { ...wrong, ARTIFACT: 'ci/a' }), /401|token/i);
  });
});
