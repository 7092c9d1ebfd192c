/** Runs the steps of a composite action as a runner does: inputs put in, the script in its shell, outputs read. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { MAIN } from '../cli/harness.js';

interface ActionFile {
  readonly inputs: Readonly<Record<string, { readonly default?: string; readonly required?: boolean }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly ActionStep[] };
}

interface ActionStep {
  readonly id: string;
  readonly shell: string;
  readonly run: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface StepResult {
  readonly exitCode: number;
  readonly output: string;
  readonly outputs: Readonly<Record<string, string>>;
}

export interface Runner {
  /** A folder of its own, with `bin` that holds the command. */
  readonly folder: string;
  readonly workspace: string;
  readonly env: Readonly<Record<string, string>>;
}

export function actionFolder(name: string): string {
  return join(PACKAGE_ROOT, 'actions', name);
}

export async function readAction(name: string): Promise<ActionFile> {
  return parse(await readFile(join(actionFolder(name), 'action.yml'), 'utf8')) as ActionFile;
}

/** @param folder gets `work`, `temp`, `home` and `bin` */
export async function makeRunner(folder: string, env: Readonly<Record<string, string>>): Promise<Runner> {
  const [workspace, bin] = [join(folder, 'work'), join(folder, 'bin')];
  for (const name of ['work', 'bin', 'temp', 'home']) await mkdir(join(folder, name), { recursive: true });
  const haul = join(bin, 'haul');
  await writeFile(haul, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  await chmod(haul, 0o755);
  return {
    folder,
    workspace,
    env: {
      PATH: `${bin}:${process.env.PATH}`,
      HOME: join(folder, 'home'),
      GITHUB_WORKSPACE: workspace,
      GITHUB_REPOSITORY: 'owner/repo',
      GITHUB_RUN_ID: '42',
      RUNNER_TEMP: join(folder, 'temp'),
      ...env,
    },
  };
}

/** Of what runners put in, these are used: inputs, outputs of steps, and a few of `github`. */
function fill(text: string, inputs: Readonly<Record<string, string>>, action: string): string {
  return text.replaceAll(/\$\{\{ *([\w.-]+) *\}\}/g, (_, name: string) => {
    if (name === 'github.action_path') return actionFolder(action);
    if (name === 'github.repository') return 'owner/repo';
    if (name === 'github.run_id') return '42';
    const [, input] = /^inputs\.(.+)$/.exec(name) ?? [];
    if (input === undefined || inputs[input] === undefined) throw new Error(`${action}: nobody knows ${name}`);
    return inputs[input];
  });
}

export async function runAction(
  runner: Runner,
  action: string,
  given: Readonly<Record<string, string>>,
): Promise<StepResult> {
  const { inputs, outputs, runs } = await readAction(action);
  for (const name of Object.keys(given)) if (!(name in inputs)) throw new Error(`${action} has no input ${name}`);
  const all: Record<string, string> = {};
  for (const [name, { default: value = '' }] of Object.entries(inputs))
    all[name] = given[name] ?? fill(String(value), {}, action);
  const place = await mkdtemp(join(runner.folder, 'step-'));
  const values: Record<string, string> = {};
  let [output, exitCode] = ['', 0];
  for (const step of runs.steps) {
    const file = join(place, step.id);
    await writeFile(file, '');
    const own = Object.fromEntries(Object.entries(step.env).map(([name, text]) => [name, fill(text, all, action)]));
    const env = { ...runner.env, ...own, GITHUB_OUTPUT: file };
    const words = ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run];
    const ended = await new Promise<{ code: number; text: string }>((resolve) => {
      execFile('bash', words, { cwd: runner.workspace, env }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: `${stdout}${stderr}` }),
      );
    });
    output += ended.text;
    exitCode = ended.code;
    const said = await readFile(file, 'utf8');
    for (const [, name, , value] of said.matchAll(/^([\w-]+)<<(.+)\n([\s\S]*?)\n\2$/gm))
      values[`steps.${step.id}.outputs.${name}`] = value!;
    if (exitCode !== 0) break;
  }
  const named = Object.entries(outputs).map(([name, { value }]) => {
    const [, from] = /\$\{\{ *([\w.-]+) *\}\}/.exec(value)!;
    return [name, values[from!] ?? ''] as const;
  });
  return { exitCode, output, outputs: Object.fromEntries(named) };
}
