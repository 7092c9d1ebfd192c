// Fetches artifacts of a run and unpacks those that are tars. Inputs come as HAUL_…, see action.yml.
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { AS_IT_IS, checkName, flag, folderOfRun, haul, idOf, input, main, oneLine, setOutput, tell } from '../haul.mjs';

/** Of what tar says; it may have a line for each file. */
const TOLD_CHARACTERS = 1_000;

/** @throws with the first lines of what tar said */
async function unpack(name, file, into) {
  const tar = spawn('tar', ['-xf', file, '-C', into], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  tar.stderr.setEncoding('utf8').on('data', (text) => {
    said += text.slice(0, TOLD_CHARACTERS - said.length);
  });
  const code = await new Promise((resolve, reject) => tar.once('error', reject).once('close', resolve));
  if (code !== 0) throw new Error(`artifact ${name} cannot be unpacked: ${said.trim() || `tar ended with ${code}`}`);
}

const tarOf = (name) => ({ name, key: name, path: `${name}.tar`, isTar: true });
const fileOf = (name) => ({ name, key: AS_IT_IS + name, path: AS_IT_IS + name, isTar: false });

/** Names right below it, without what stands before and behind them. */
async function listed(folder, pattern, behind = '') {
  const lines = await haul('ls', folder, ...(pattern === '' ? [] : ['--pattern', pattern + behind]));
  return lines
    .filter((line) => line.type === 'artifact' && line.name.endsWith(behind))
    .map((line) => line.name.slice(folder.length, line.name.length - behind.length))
    .filter((name) => !name.includes('/'));
}

/** What is wanted, and whether each gets a folder of its own. One that is named may be of either kind. */
async function wantedOf(folder) {
  const [name, ids, pattern] = [input('name'), input('artifact-ids'), input('pattern')];
  if (name !== '' && ids !== '') throw new Error('name and artifact-ids are not given both');
  if (name !== '') return { wanted: [{ ...tarOf(checkName(name)), otherwise: fileOf(name) }], isOne: true };
  const chosen = ids === '' ? pattern : '';
  const tars = (await listed(folder, chosen, '.tar')).map((found) => tarOf(checkName(found)));
  const all = [...tars, ...(await listed(folder + AS_IT_IS, chosen)).map(fileOf)];
  if (ids === '') return { wanted: all, isOne: false };
  const numbers = ids.split(',').map((id) => id.trim());
  const missing = numbers.filter((id) => !all.some(({ key }) => idOf(key) === id));
  if (missing.length > 0) throw new Error(`this run has no artifact with the id ${missing.join(', ')}`);
  const wanted = all.filter(({ key }) => numbers.includes(idOf(key)));
  return { wanted, isOne: wanted.length === 1 };
}

/** What was fetched, and how. */
async function fetched(folder, output, { otherwise, ...wanted }) {
  try {
    const lines = await haul('get', folder + wanted.path, '--output', output);
    return { ...wanted, receipt: lines.find(({ type }) => type === 'fetched') };
  } catch (error) {
    if (otherwise === undefined || error.code !== 'NOT_FOUND') throw error;
    return fetched(folder, output, otherwise).catch((second) => {
      // Of the kind that artifacts mostly are.
      throw second.code === 'NOT_FOUND' ? error : second;
    });
  }
}

await main(async () => {
  const folder = folderOfRun();
  const given = input('path').replace(/^~(?=\/|$)/, process.env.HOME ?? '~');
  const path = resolve(process.env.GITHUB_WORKSPACE || '.', given);
  const [merges, keeps] = [flag('merge-multiple'), flag('skip-decompress')];
  const { wanted, isOne } = await wantedOf(folder);
  if (wanted.length === 0) tell('warning', 'this run has no such artifact');
  await mkdir(path, { recursive: true });
  const temporary = await mkdtemp(join(process.env.RUNNER_TEMP || tmpdir(), 'haul-'));
  try {
    for (const each of wanted) {
      const { name, isTar, receipt } = await fetched(folder, temporary, each);
      const { sha256, seconds, peerBytes, webSeedBytes, httpBytes } = receipt;
      const file = isTar ? `${name}.tar` : name;
      const into = isOne || merges ? path : join(path, name);
      await mkdir(into, { recursive: true });
      if (isTar && !keeps) await unpack(name, join(temporary, file), into);
      else await copyFile(join(temporary, file), join(into, file));
      await rm(join(temporary, file));
      const from = `${peerBytes} bytes from peers, ${webSeedBytes + httpBytes} by HTTP`;
      process.stdout.write(`artifact ${oneLine(name)}: ${from}, ${seconds.toFixed(1)} s; sha256 ${sha256}\n`);
    }
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  setOutput('download-path', path);
});
