// What both actions share: inputs, outputs, names in the depot, and the command.
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';

/** Of an input as action.yml hands it on; '' where nobody gave one. */
export function input(name) {
  return (process.env[`HAUL_${name.toUpperCase().replaceAll('-', '_')}`] ?? '').trim();
}

/** @throws where it is neither true nor false */
export function flag(name) {
  const value = input(name).toLowerCase();
  if (value === '' || value === 'false') return false;
  if (value === 'true') return true;
  throw new Error(`${name} is true or false, not "${value}"`);
}

export function setOutput(name, value) {
  const file = process.env.GITHUB_OUTPUT;
  if (!file) return;
  const mark = randomUUID();
  appendFileSync(file, `${name}<<${mark}\n${value}\n${mark}\n`);
}

/** A line that the runner takes for a command of its kind. */
export function tell(kind, message) {
  const text = message.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  process.stdout.write(`::${kind}::${text}\n`);
}

/** What a depot says begins no line, where the runner would take it for a command. */
export function oneLine(text) {
  return String(text).replaceAll(/\p{Cc}/gu, ' ');
}

/** As the originals have it. */
const FORBIDDEN = /[":<>|*?\\/\r\n]/;

export function checkName(name) {
  const wrong = FORBIDDEN.exec(name);
  if (wrong !== null) throw new Error(`the name of an artifact has no ${JSON.stringify(wrong[0])} in it`);
  // A folder is called so.
  if (name === '' || name === '.' || name === '..') throw new Error(`"${name}" is no name of an artifact`);
  return name;
}

/** Where artifacts of a run are in the depot, with its slash. */
export function folderOfRun() {
  const repository = input('repository') || process.env.GITHUB_REPOSITORY || 'local';
  const run = input('run-id') || process.env.GITHUB_RUN_ID || '0';
  return [input('prefix').replace(/^\/+|\/+$/g, '') || 'actions', repository, run, ''].join('/');
}

/** Of what was uploaded as it is, below the folder of the run: a file that is called "x.tar" is no artifact "x". */
export const AS_IT_IS = 'file/';

/** A number of 48 bits that is the same for the same name. */
export function idOf(name) {
  return String(Number.parseInt(createHash('sha256').update(name).digest('hex').slice(0, 12), 16));
}

/** Runs haul with --json. Its warnings are the step's. @throws with what it said where it failed */
export async function haul(command, ...words) {
  const env = { ...process.env };
  for (const [from, to] of [
    ['depot', 'SWARMHAUL_DEPOT'],
    ['agent', 'SWARMHAUL_AGENT'],
    ['token', 'SWARMHAUL_TOKEN'],
  ])
    if (input(from) !== '') env[to] = input(from);
  const child = spawn('haul', [command, '--json', ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const code = await new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(error.code === 'ENOENT' ? new Error('haul is not on the PATH of this runner') : error),
    );
    child.once('close', resolve);
  });
  const lines = out.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
  for (const { type, message } of lines) if (type === 'warning') tell('warning', message);
  if (code === 0) return lines;
  const failure = lines.find(({ type }) => type === 'error');
  const why = failure?.message ?? said.trim();
  throw Object.assign(new Error(why || `haul ended with ${code}`), { code: failure?.code });
}

/** What goes wrong is the step's error. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    tell('error', error.message);
    process.exitCode = 1;
  }
}
