/**
 * A real workflow by a real runner (`act` in host mode, which needs no container): the two actions, and GitHub's own
 * client of its cache at the agent of the host. Nothing is fetched from GitHub.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { agentOf, depotOf, folderOf } from '../depot/agent-harness.js';
import { INSTALLED, requireActionsClient } from '../depot/doors/actions-client.js';
import { skipUnlessInstalled } from '../support/requirements.js';
import { makeRunner } from './step.js';

const exec = promisify(execFile);

const WORKFLOW = `
name: image
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: |
          mkdir -p out/tmp deps
          head -c 6000000 /dev/urandom > out/image.raw
          echo no > out/tmp/scratch
          cp out/image.raw deps/image.copy
      - id: up
        uses: ./actions/upload
        with:
          name: image
          path: |
            out/**
            !out/tmp
      - run: |
          echo "id=\${{ steps.up.outputs.artifact-id }}="
          curl -fsS "\${{ steps.up.outputs.artifact-url }}" > fetched.tar
          echo "\${{ steps.up.outputs.artifact-digest }}  fetched.tar" | sha256sum -c
      - uses: ./cache
        with:
          steps: '[{"work":"save","protocol":"PROTOCOL","keys":["Linux-deps-1"]}]'
  test:
    needs: build
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: down
        uses: ./actions/download
        with:
          name: image
          path: got
      - uses: ./cache
        with:
          steps: '[{"work":"restore","protocol":"PROTOCOL","keys":["Linux-deps-2","Linux-deps-"],"remove":"deps"}]'
      - run: |
          cmp deps/image.copy got/image.raw
          test ! -e got/tmp
          echo "path=\${{ steps.down.outputs.download-path }}="
`;

const CACHE_ACTION = `
name: cache
inputs:
  steps:
    required: true
runs:
  using: node20
  main: main.mjs
`;

/** As the bundles of GitHub's cache actions: the client, and inputs from the environment. */
const CACHE_MAIN = `
process.argv[2] = process.env.INPUT_STEPS;
await import(process.env.ACTIONS_CLIENT);
`;

async function runWorkflow(context: TestContext, protocol: 'v1' | 'v2'): Promise<void> {
  if (await skipUnlessInstalled(context, ['act', 'git', 'curl'])) return;
  if (await requireActionsClient(context)) return;
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'data'));
  const { agent, receipts } = await agentOf(context, depot.url, join(folder, 'cache'));
  const { workspace, env } = await makeRunner(join(folder, 'runner'), {});
  await mkdir(join(workspace, '.github', 'workflows'), { recursive: true });
  await mkdir(join(workspace, 'cache'));
  await cp(join(PACKAGE_ROOT, 'actions'), join(workspace, 'actions'), { recursive: true });
  await writeFile(join(workspace, '.github', 'workflows', 'image.yml'), WORKFLOW.replaceAll('PROTOCOL', protocol));
  await writeFile(join(workspace, 'cache', 'action.yml'), CACHE_ACTION);
  await writeFile(join(workspace, 'cache', 'main.mjs'), CACHE_MAIN);
  const git = (...words: string[]) => exec('git', words, { cwd: workspace, env: { ...process.env, HOME: env.HOME } });
  await git('init', '-q', '-b', 'main');
  await git('remote', 'add', 'origin', 'https://github.com/owner/repo.git');
  await git('add', '-A');
  await git('-c', 'user.name=t', '-c', 'user.email=t@example.org', 'commit', '-q', '-m', 'all');
  const given = {
    SWARMHAUL_DEPOT: depot.url,
    ACTIONS_CACHE_URL: `${agent.url}/`,
    ACTIONS_RESULTS_URL: `${agent.url}/`,
    ACTIONS_RUNTIME_TOKEN: 'header.payload.signature',
    ACTIONS_CLIENT: join(INSTALLED, 'cache.mjs'),
    PATH: env.PATH!,
  };
  const words = ['push', '-P', 'ubuntu-latest=-self-hosted', '--no-cache-server', '--pull=false'];
  const settings = Object.entries(given).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const { stdout, stderr } = await exec('act', [...words, ...settings], {
    cwd: workspace,
    env: { PATH: env.PATH, HOME: env.HOME },
    maxBuffer: 2 ** 24,
  }).catch((error: Error & { stdout: string; stderr: string }) => {
    throw new Error(`${error.message}\n${error.stdout}\n${error.stderr}`);
  });
  const said = `${stdout}${stderr}`;
  if (process.env.SWARMHAUL_SHOW !== undefined) process.stdout.write(said);
  assert.match(said, /id=\d+=/, said);
  assert.match(said, /path=\/.*\/got=/, said);
  assert.match(said, /RESULT \["Linux-deps-1"\]/, said);
  assert.equal((await fetch(`${depot.url}/artifacts/actions/owner/repo/1/image.tar`, { method: 'HEAD' })).status, 200);
  assert.ok(receipts.some(({ name, outcome }) => /^artifacts\/actions-cache\//.test(name) && outcome === 'done'));
}

const TIMEOUT = { timeout: 120_000 };

test('a workflow uploads, downloads, saves and restores by v1', TIMEOUT, (context) => runWorkflow(context, 'v1'));

test('a workflow uploads, downloads, saves and restores by v2', TIMEOUT, (context) => runWorkflow(context, 'v2'));
