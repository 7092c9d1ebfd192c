// What a workflow's cache action does: save and restore, with GitHub's own client. Steps are JSON, of
// { work, protocol, paths, keys, remove, write }; one line of JSON says how each went.
import { rmSync, writeFileSync } from 'node:fs';
import { restoreCache, saveCache } from '@actions/cache';

const results = [];
for (const { work, protocol, keys, remove, write } of JSON.parse(process.argv[2])) {
  if (protocol === 'v2') process.env.ACTIONS_CACHE_SERVICE_V2 = 'true';
  else delete process.env.ACTIONS_CACHE_SERVICE_V2;
  if (remove !== undefined) rmSync(remove, { recursive: true, force: true });
  if (write !== undefined) writeFileSync(write[0], write[1]);
  const [key, ...restoreKeys] = keys;
  if (work === 'save') results.push(await saveCache(['deps'], key));
  else results.push((await restoreCache(['deps'], key, restoreKeys)) ?? null);
}
process.stdout.write(`\nRESULT ${JSON.stringify(results)}\n`);
