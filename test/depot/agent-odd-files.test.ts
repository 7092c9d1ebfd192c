/** Others put something else in the place of files of an agent's cache: nothing waits for it, and all is given. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentOf, bytesOf, depotOf, folderOf, get, put, untilTrue } from './agent-harness.js';

const KINDS: Readonly<Record<string, (file: string) => void>> = {
  pipe: (file) => void execFileSync('mkfifo', [file]),
  folder: (file) => void mkdirSync(file),
  'link to nowhere': (file) => symlinkSync('/nowhere/at/all', file),
  'link to what never ends': (file) => symlinkSync('/dev/zero', file),
};

for (const [kind, make] of Object.entries(KINDS)) {
  test(`a ${kind}, while it runs and when it starts`, { timeout: 30_000 }, async (t) => {
    const folder = await folderOf(t);
    const depot = await depotOf(t, join(folder, 'data'));
    const files = { short: bytesOf(1000), long: bytesOf(5_000_000) };
    for (const [name, bytes] of Object.entries(files)) await put(depot.url, name, bytes);
    const cache = join(folder, 'cache');
    const all = async (url: string): Promise<void> => {
      for (const [name, bytes] of Object.entries(files)) {
        const answer = await get(url, `artifacts/${name}`);
        assert.equal(answer.status, 200, name);
        assert.ok(answer.bytes.equals(bytes), name);
      }
      // What was given to the last byte is about to be put away.
      await untilTrue(async () => JSON.parse(String((await get(url, 'status')).bytes)).fetches.length === 0);
    };
    const replaced = (isWanted: (name: string) => boolean): void => {
      const names = readdirSync(cache, { recursive: true, encoding: 'utf8', withFileTypes: true });
      for (const entry of names.filter((found) => found.isFile() && isWanted(found.name))) {
        const file = join(entry.parentPath, entry.name);
        rmSync(file);
        make(file);
      }
    };
    const first = await agentOf(t, depot.url, cache);
    await all(first.agent.url);
    // More than there are threads for files: each that waits would be one less.
    for (let round = 0; round < 3; round++) {
      replaced((name) => name === 'long' || /^[0-9a-f]{64}$/.test(name));
      await all(first.agent.url);
    }
    await first.agent.close(0);
    replaced((name) => name !== 'swarmhaul-cache');
    const second = await agentOf(t, depot.url, cache);
    await all(second.agent.url);
  });
}
