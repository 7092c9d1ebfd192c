/** What only the catalogue in LevelDB must do: its files may hold anything, and a process may end at any time. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { openScope, type Scope } from '../../lab/scope.js';
import { blobKey, COUNTS_KEY, rowKey, VERSION_KEY } from '../../src/depot/catalogue/keys.js';
import { type LevelCatalogue, type LevelOptions, openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { HaulError } from '../../src/errors.js';
import { makeRandom } from '../../src/random.js';
import { smallDisk } from '../support/small-disk.js';
import { ADD, listAll, OVERWRITE, rowOf } from './catalogue-conformance.js';
import { quickFolder } from './quick-folder.js';

const CHILD = fileURLToPath(new URL('catalogue-child.js', import.meta.url));

async function opened(scope: Scope, folder: string, options?: LevelOptions): Promise<LevelCatalogue> {
  const catalogue = await openLevelCatalogue(folder, options);
  scope.defer(() => catalogue.close());
  return catalogue;
}

async function folderOf(scope: Scope): Promise<string> {
  return path.join(await quickFolder(scope), 'depot', 'catalogue');
}

/** Writes behind the back of whoever has it, while nobody has. */
async function tamper(
  folder: string,
  change: (level: ClassicLevel<string, string>) => Promise<unknown>,
): Promise<void> {
  const level = new ClassicLevel<string, string>(folder);
  await level.open();
  await change(level);
  await level.close();
}

async function filled(scope: Scope, count: number): Promise<string> {
  const folder = await folderOf(scope);
  const catalogue = await openLevelCatalogue(folder);
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      catalogue.put(rowOf(`artifacts/${index}`, `${index}`, { expiresMs: 1000 + index, usedMs: index }), ADD),
    ),
  );
  await catalogue.close();
  return folder;
}

describe('opened again', () => {
  test('everything is there, and the counts too', async (t) => {
    const scope = openScope(t);
    const folder = await filled(scope, 30);
    const catalogue = await opened(scope, folder);
    assert.equal(catalogue.isNew, false);
    assert.equal((await listAll(catalogue, '', 7)).length, 30);
    assert.equal((await catalogue.counts()).names, 30);
    assert.deepEqual(await catalogue.audit(), []);
  });

  test('one that was not there says that it is new', async (t) => {
    const scope = openScope(t);
    assert.equal((await opened(scope, await folderOf(scope))).isNew, true);
  });

  test('a second one is told that a depot runs there, in a line', async (t) => {
    const scope = openScope(t);
    const folder = await folderOf(scope);
    await opened(scope, folder);
    await assert.rejects(openLevelCatalogue(folder), {
      code: 'IN_USE',
      message: `the catalogue ${folder} is in use: a depot runs on this folder; stop it first`,
    });
  });

  test('a newer version, and one that is no number, are refused and left alone', async (t) => {
    const scope = openScope(t);
    const folder = await filled(scope, 1);
    await tamper(folder, (level) => level.put(VERSION_KEY, '2'));
    await assert.rejects(openLevelCatalogue(folder), { code: 'BAD_DATA', message: /is of version 2.*knows up to 1/ });
    await tamper(folder, (level) => level.put(VERSION_KEY, '1e9'));
    await assert.rejects(openLevelCatalogue(folder), { code: 'BAD_DATA', message: /haul depot rebuild/ });
    await tamper(folder, (level) => level.del(VERSION_KEY));
    await assert.rejects(openLevelCatalogue(folder), { code: 'BAD_DATA', message: /names no version.*rebuild/ });
    await tamper(folder, (level) => level.put(VERSION_KEY, '1'));
    assert.equal((await (await opened(scope, folder)).counts()).names, 1);
  });
});

describe('damaged', () => {
  const VALUES = [
    '',
    '{',
    'null',
    '[]',
    '[1,2,3,4,5,6,7,8,9]',
    '"x"',
    '\u0000',
    `[${'['.repeat(5000)}`,
    '1'.repeat(99_999),
  ];

  test('a row that is damaged is named by whoever wants it; the others are as before', async (t) => {
    const scope = openScope(t);
    const folder = await filled(scope, 5);
    for (const value of VALUES) {
      await tamper(folder, (level) => level.put(rowKey('artifacts/1'), value));
      const told: string[] = [];
      const catalogue = await openLevelCatalogue(folder, { onDamaged: (error) => told.push(error.message) });
      const BAD = { code: 'BAD_DATA', message: /"artifacts\/1"/ };
      await assert.rejects(catalogue.get('artifacts/1'), BAD);
      await assert.rejects(catalogue.list({ prefix: '', cursor: null, limit: 10 }), BAD);
      // All begun together: one group.
      const [damaged, pinned, other] = await Promise.allSettled([
        catalogue.put(rowOf('artifacts/1', '1'), OVERWRITE),
        catalogue.pin('artifacts/1', true),
        catalogue.put(rowOf('artifacts/2', '2'), ADD),
      ]);
      assert.equal(damaged.status, 'rejected');
      assert.equal(pinned.status, 'rejected');
      assert.equal(other.status, 'fulfilled');
      await catalogue.touch(new Map([['artifacts/1', 7]]));
      assert.equal((await catalogue.expiring(Infinity, 10)).length, 3);
      assert.equal((await catalogue.leastUsed(10)).length, 4);
      assert.equal(told.length, 2);
      assert.match((await catalogue.audit()).join('\n'), /artifacts\/1/);
      await catalogue.put(rowOf('artifacts/2', '2', { expiresMs: 1002, usedMs: 2 }), ADD);
      await catalogue.close();
    }
  });

  test('a row with a field of another kind is damaged', async (t) => {
    const scope = openScope(t);
    const folder = await filled(scope, 1);
    let good: unknown[] = [];
    await tamper(folder, async (level) => {
      good = JSON.parse((await level.get(rowKey('artifacts/0')))!);
    });
    for (let field = 0; field < good.length; field++) {
      for (const value of [{}, 'x', -1, true, [1]]) {
        // A type of content may be any text.
        if (field === 3 && value === 'x') continue;
        const bad = good.map((old, index) => (index === field ? value : old));
        await tamper(folder, (level) => level.put(rowKey('artifacts/0'), JSON.stringify(bad)));
        const catalogue = await openLevelCatalogue(folder);
        await assert.rejects(catalogue.get('artifacts/0'), { code: 'BAD_DATA' }, JSON.stringify(bad));
        await catalogue.close();
      }
    }
  });

  test('what is known of a blob, and the counts, may be damaged too', async (t) => {
    const scope = openScope(t);
    const folder = await filled(scope, 2);
    const { sha256 } = rowOf('artifacts/0', '0');
    await tamper(folder, (level) => level.put(blobKey(sha256), '0 7'));
    const catalogue = await openLevelCatalogue(folder);
    await assert.rejects(catalogue.isNamed(sha256), { code: 'BAD_DATA' });
    const [removed, other] = await Promise.allSettled([
      catalogue.remove('artifacts/0'),
      catalogue.remove('artifacts/1'),
    ]);
    assert.equal(removed.status, 'rejected');
    assert.equal(other.status, 'fulfilled');
    await catalogue.close();
    await tamper(folder, (level) => level.put(COUNTS_KEY, '1 x 3'));
    await assert.rejects(openLevelCatalogue(folder), { code: 'BAD_DATA', message: /counts.*haul depot rebuild/ });
  });

  test('whatever is done to its files, it opens or says in a line what to do', async (t) => {
    const scope = openScope(t);
    const random = makeRandom(4);
    for (let round = 0; round < 40; round++) {
      const folder = await filled(scope, 20);
      const files = readdirSync(folder).filter((name) => !/^(?:LOCK|LOG.*|ballast.*)$/.test(name));
      const file = path.join(folder, files[Math.floor(random() * files.length)]!);
      const bytes = readFileSync(file);
      const kind = round % 4;
      if (kind === 0) rmSync(file);
      else if (kind === 1) writeFileSync(file, bytes.subarray(0, Math.floor(random() * bytes.length)));
      else if (kind === 2)
        writeFileSync(file, Buffer.from(bytes).fill(Math.floor(random() * 256), 0, Math.ceil(bytes.length / 2)));
      else writeFileSync(file, '');
      let catalogue: LevelCatalogue | null = null;
      try {
        catalogue = await openLevelCatalogue(folder);
      } catch (error) {
        assert.ok(HaulError.is(error), `${error}`);
        assert.equal(error.code, 'BAD_DATA', error.message);
        assert.match(error.message, /^the catalogue .*haul depot rebuild$/);
      }
      if (catalogue === null) continue;
      await listAll(catalogue, '', 1000).catch((error) => assert.equal(error.code, 'BAD_DATA'));
      await catalogue.close();
    }
  });

  test('without CURRENT it is damaged, not new', async (t) => {
    const scope = openScope(t);
    const folder = await filled(scope, 3);
    rmSync(path.join(folder, 'CURRENT'));
    const before = readdirSync(folder).sort();
    await assert.rejects(openLevelCatalogue(folder), { code: 'BAD_DATA', message: /CURRENT.*haul depot rebuild/ });
    assert.deepEqual(readdirSync(folder).sort(), before);
  });

  test('a file where its folder goes is said', async (t) => {
    const scope = openScope(t);
    const folder = path.join(await quickFolder(scope), 'file');
    writeFileSync(folder, 'x');
    await assert.rejects(openLevelCatalogue(folder), { name: 'HaulError', message: /file/ });
    await assert.rejects(openLevelCatalogue(path.join(folder, 'below')), { name: 'HaulError' });
  });
});

test('on a full disk, without a ballast, a put is refused, and works when there is room again', async (t) => {
  const scope = openScope(t);
  const disk = await smallDisk(t, scope, 'size=32m');
  if (disk === null) return;
  const catalogue = await opened(scope, path.join(disk, 'catalogue'));
  await catalogue.put(rowOf('artifacts/before', 'before'), ADD);
  rmSync(path.join(disk, 'catalogue', 'ballast'));
  writeFileSync(path.join(disk, 'others'), Buffer.alloc(31_000_000));
  const kept = new Set(['artifacts/before']);
  let refused = 0;
  for (let round = 0; refused < 5 && round < 2000; round++) {
    const name = `artifacts/${round}/${'x'.repeat(900)}`;
    try {
      await catalogue.put(rowOf(name, name), ADD);
      kept.add(name);
    } catch (error) {
      assert.equal((error as HaulError).code, 'NO_SPACE', String(error));
      refused++;
    }
    // What was told is there, all the while.
    if (refused > 0) assert.equal((await catalogue.get('artifacts/before'))?.name, 'artifacts/before');
  }
  assert.equal(refused, 5);
  assert.equal((await listAll(catalogue, '', 1000)).length, kept.size);
  rmSync(path.join(disk, 'others'));
  await catalogue.put(rowOf('artifacts/after', 'after'), ADD);
  kept.add('artifacts/after');
  assert.deepEqual(await catalogue.audit(), []);
  await catalogue.close();
  const again = await opened(scope, path.join(disk, 'catalogue'));
  assert.deepEqual(await again.audit(), []);
  const found = new Set((await listAll(again, '', 1000)).map(({ name }) => name));
  for (const name of kept) assert.ok(found.has(name), `${name} was acknowledged and is gone`);
  assert.equal(found.size, kept.size, 'what was refused is not there');
});

/** Runs the child until so many changes were acknowledged, and gives what it had said when it was gone. */
async function killedAfter(changes: number, folder: string, seed: number): Promise<Said> {
  const child = spawn(process.execPath, [CHILD, folder, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said: Said = { asked: new Map(), done: new Map() };
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, name, blob] = line.split(' ');
    (word === 'ask' ? said.asked : said.done).set(name!, blob ?? null);
    if (word === 'done' && ++count === changes) child.kill('SIGKILL');
  }
  assert.ok(count >= changes, `the child ended by itself after ${count} changes`);
  return said;
}

/** By name: the blob that was put, or null for removed. The last of each. */
interface Said {
  readonly asked: Map<string, string | null>;
  readonly done: Map<string, string | null>;
}

test('killed at any moment: nothing that was acknowledged is lost, and all agrees', async (t) => {
  const scope = openScope(t);
  const folder = await folderOf(scope);
  const random = makeRandom(7);
  /** What each name must be, as the child was told: a digest, or null for removed. */
  const told = new Map<string, string | null>();
  for (let round = 0; round < 10; round++) {
    const { asked, done } = await killedAfter(1 + Math.floor(random() * 400), folder, round);
    for (const [name, blob] of done) told.set(name, blob);
    const catalogue = await openLevelCatalogue(folder);
    assert.deepEqual(await catalogue.audit(), [], `round ${round}`);
    for (const [name, blob] of told) {
      const row = await catalogue.get(name);
      const found = row === null ? null : row.contentType;
      // One more change of each name may have been under way.
      const may = [blob, ...(asked.has(name) ? [asked.get(name)!] : [])];
      assert.ok(may.includes(found), `round ${round}: ${name} is ${found}, told was ${blob}`);
      told.set(name, found);
    }
    await catalogue.close();
  }
});
