// Fetches artifacts of a run, each a tar, and unpacks them. Inputs come as HAUL_…, see action.yml.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { checkName, flag, folderOfRun, haul, idOf, input, main, setOutput, tell } from '../haul.mjs';

const exec = promisify(execFile);

/** Names of what is wanted, and whether each gets a folder of its own. */
async function wantedOf(folder) {
  const [name, ids, pattern] = [input('name'), input('artifact-ids'), input('pattern')];
  if (name !== '' && ids !== '') throw new Error('name and artifact-ids are not given both');
  if (name !== '') return { names: [checkName(name)], isOne: true };
  const listed = await haul('ls', folder, ...(pattern === '' || ids !== '' ? [] : ['--pattern', `${pattern}.tar`]));
  const names = listed
    .filter((line) => line.type === 'artifact')
    .map((line) => line.name.slice(folder.length))
    .filter((found) => found.endsWith('.tar') && !found.includes('/'))
    .map((found) => checkName(found.slice(0, -'.tar'.length)));
  if (ids === '') return { names, isOne: false };
  const numbers = ids.split(',').map((id) => id.trim());
  const missing = numbers.filter((id) => !names.some((found) => idOf(found) === id));
  if (missing.length > 0) throw new Error(`this run has no artifact with the id ${missing.join(', ')}`);
  const chosen = names.filter((found) => numbers.includes(idOf(found)));
  return { names: chosen, isOne: chosen.length === 1 };
}

await main(async () => {
  const folder = folderOfRun();
  const given = input('path').replace(/^~(?=\/|$)/, process.env.HOME ?? '~');
  const path = resolve(process.env.GITHUB_WORKSPACE || '.', given);
  const [merges, keeps] = [flag('merge-multiple'), flag('skip-decompress')];
  const { names, isOne } = await wantedOf(folder);
  if (names.length === 0) tell('warning', 'this run has no such artifact');
  await mkdir(path, { recursive: true });
  const temporary = await mkdtemp(join(process.env.RUNNER_TEMP || tmpdir(), 'haul-'));
  try {
    for (const name of names) {
      const lines = await haul('get', `${folder}${name}.tar`, '--output', temporary);
      const { sha256, seconds, peerBytes, webSeedBytes, httpBytes } = lines.find(({ type }) => type === 'fetched');
      const tar = join(temporary, `${name}.tar`);
      const into = isOne || merges ? path : join(path, name);
      await mkdir(into, { recursive: true });
      if (keeps) await exec('cp', ['--', tar, join(into, `${name}.tar`)]);
      else await exec('tar', ['-xf', tar, '-C', into]);
      await rm(tar);
      const from = `${peerBytes} bytes from peers, ${webSeedBytes + httpBytes} by HTTP`;
      process.stdout.write(`artifact ${name}: ${from}, ${seconds.toFixed(1)} s; sha256 ${sha256}\n`);
    }
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  setOutput('download-path', path);
});
