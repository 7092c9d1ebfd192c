/** Somebody who changes the output folder between our look at it and what we make of it. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { HaulError } from '../../src/errors.js';
import { DataFiles } from '../../src/storage/files.js';
import { Identities } from '../../src/storage/identities.js';
import { nameOfFolder } from '../../src/storage/kernel-names.js';
import { Changed, type MakeTask, makeFiles } from '../../src/storage/make-files.js';
import { survey } from '../../src/storage/survey.js';
import * as scenes from './scene.js';

const folder = scenes.makeFolder();
after(() => fs.rmSync(folder, { recursive: true }));
let count = 0;

const TREE: scenes.FileScene[] = [
  { path: 't/a', lengthBytes: 10_000 },
  { path: 't/sub/b', lengthBytes: 20_000 },
  { path: 't/sub/c', lengthBytes: 100 },
];

interface Place {
  readonly output: string;
  readonly outside: string;
}

function place(): Place {
  const home = join(folder, `${++count}`);
  const [output, outside] = [join(home, 'output'), join(home, 'outside')];
  for (const path of [join(output, 't/sub'), outside]) fs.mkdirSync(path, { recursive: true });
  fs.writeFileSync(join(output, 't/a'), 'ours');
  fs.writeFileSync(join(outside, 'precious'), 'x'.repeat(50));
  return { output, outside };
}

/** Prepares; at the time between the look and the making `change` is called, so many times. */
async function prepare({ output }: Place, change: () => void, times = 1, isOurs = [0]): Promise<void> {
  const data = new DataFiles(scenes.metainfoOf(TREE, 64 * 1024 * 1024), output);
  let changes = 0;
  try {
    await data.prepare({
      forWriting: true,
      isOurs: (file) => {
        if (file === 0 && changes++ < times) change();
        return isOurs.includes(file);
      },
    });
  } finally {
    await data.close();
  }
}

function isError(code: string, text: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HaulError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.includes(text), error.message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

function isIntact({ outside }: Place): void {
  assert.deepEqual(fs.readdirSync(outside), ['precious']);
  assert.equal(fs.readFileSync(join(outside, 'precious'), 'latin1'), 'x'.repeat(50));
}

test('a file that appears after the look is looked at, not written over', async () => {
  const here = place();
  const path = join(here.output, 't/sub/b');
  await assert.rejects(
    prepare(here, () => fs.writeFileSync(path, 'precious')),
    isError('FILE_EXISTS', path),
  );
  assert.equal(fs.readFileSync(path, 'latin1'), 'precious');
  assert.equal(fs.existsSync(join(here.output, 't/sub/c')), false, 'what was made is undone');
  assert.equal(fs.readFileSync(join(here.output, 't/a'), 'latin1'), 'ours');
});

test('a file of ours that appears after the look is taken as it is', async () => {
  const here = place();
  const path = join(here.output, 't/sub/b');
  await prepare(here, () => fs.writeFileSync(path, 'ours too'), 1, [0, 1]);
  assert.equal(fs.statSync(path).size, 20_000);
  assert.equal(fs.readFileSync(path, 'latin1').slice(0, 9), 'ours too\0');
});

test('another file in the place of one that was looked at is neither lengthened nor cut', async () => {
  const here = place();
  const path = join(here.output, 't/a');
  for (const length of [30, 30_000]) {
    fs.writeFileSync(path, Buffer.alloc(12_000, 'ours'));
    let isOurs = true;
    const data = new DataFiles(scenes.metainfoOf(TREE, 64 * 1024 * 1024), here.output);
    const swap = (file: number): boolean => {
      if (file !== 0 || !isOurs) return false;
      isOurs = false;
      fs.renameSync(path, `${path}.old`);
      fs.writeFileSync(path, 'p'.repeat(length));
      return true;
    };
    await assert.rejects(data.prepare({ forWriting: true, isOurs: swap }), isError('FILE_EXISTS', path));
    await data.close();
    assert.equal(fs.readFileSync(path, 'latin1'), 'p'.repeat(length));
  }
});

test('a link in the place of a file that was looked at is not followed', async () => {
  const here = place();
  const path = join(here.output, 't/a');
  const swap = (): void => {
    fs.rmSync(path);
    fs.symlinkSync(join(here.outside, 'precious'), path);
  };
  await assert.rejects(prepare(here, swap), isError('NOT_A_DIRECTORY', 'leads outside the output folder'));
  isIntact(here);
});

test('a link in the place of a folder makes nothing outside the output folder', async () => {
  const here = place();
  const path = join(here.output, 't/sub');
  const swap = (): void => {
    fs.renameSync(path, `${path}.old`);
    fs.symlinkSync(here.outside, path);
  };
  await assert.rejects(prepare(here, swap), isError('NOT_A_DIRECTORY', 'leads outside the output folder'));
  isIntact(here);
  assert.equal(fs.readFileSync(join(here.output, 't/a'), 'latin1'), 'ours', 'what was lengthened is undone');
});

/**
 * Prepares; `change` is called once, when all files were looked at and read. Only `t/a` is ours, where it has content.
 */
async function prepareLate({ output }: Place, change: () => void): Promise<void> {
  const data = new DataFiles(scenes.metainfoOf(TREE, 64 * 1024 * 1024), output);
  let isChanged = false;
  try {
    await data.prepare({
      forWriting: true,
      isOurs: (file) => file === 0 && fs.readFileSync(join(output, 't/a'), 'latin1').startsWith('ours'),
      // Asked for last of all.
      get reserve(): boolean {
        if (!isChanged) change();
        isChanged = true;
        return true;
      },
    });
  } finally {
    await data.close();
  }
}

test('another file in the place of one that is whole is not taken for it', async () => {
  const here = place();
  const path = join(here.output, 't/a');
  fs.writeFileSync(path, Buffer.alloc(10_000));
  fs.writeFileSync(`${path}.mine`, 'p'.repeat(10_000));
  const swap = (): void => fs.renameSync(`${path}.mine`, path);
  await assert.rejects(prepareLate(here, swap), isError('FILE_EXISTS', path));
  assert.equal(fs.readFileSync(path, 'latin1'), 'p'.repeat(10_000));
});

test('a link in the place of a folder is found also when all in it is whole', async () => {
  const here = place();
  const path = join(here.output, 't/sub');
  for (const { path: name, lengthBytes } of TREE.slice(1)) {
    fs.writeFileSync(join(here.output, name), Buffer.alloc(lengthBytes));
    fs.writeFileSync(join(here.outside, name.slice(-1)), 'x'.repeat(lengthBytes));
  }
  const swap = (): void => {
    fs.renameSync(path, `${path}.old`);
    fs.symlinkSync(here.outside, path);
  };
  await assert.rejects(prepareLate(here, swap), isError('NOT_A_DIRECTORY', 'leads outside the output folder'));
});

test('where files have no numbers a whole one is opened again, and must be below the output folder', async () => {
  const here = place();
  const metainfo = scenes.metainfoOf(TREE.slice(1), 64 * 1024 * 1024);
  for (const { path, lengthBytes } of TREE.slice(1)) {
    fs.writeFileSync(join(here.output, path), Buffer.alloc(lengthBytes));
    fs.writeFileSync(join(here.outside, path.slice(-1)), 'x'.repeat(lengthBytes));
  }
  const { output } = here;
  const { files } = metainfo;
  const found = await survey({ files, isSkipped: () => false, ownFile: files.length, output, forWriting: true });
  const task: MakeTask = {
    found,
    volume: fs.statfsSync(output),
    output,
    entry: (file) => files[file]!,
    path: (file) => join(output, ...files[file]!.path),
    partFile: files.length,
    reserve: true,
    hasInodes: false,
  };
  assert.ok(!((await makeFiles(task)) instanceof Changed));
  fs.renameSync(join(output, 't/sub'), join(output, 't/old'));
  fs.symlinkSync(here.outside, join(output, 't/sub'));
  assert.ok((await makeFiles(task)) instanceof Changed);
});

test('what somebody adds to a file after the look is not written over', async () => {
  for (const before of ['', '\0\0\0']) {
    const here = place();
    const path = join(here.output, 't/sub/b');
    fs.writeFileSync(path, before);
    await assert.rejects(
      prepareLate(here, () => fs.appendFileSync(path, 'precious')),
      isError('FILE_EXISTS', path),
    );
    assert.equal(fs.readFileSync(path, 'latin1'), `${before}precious`);
  }
});

/** Writes in place: length and inode stay. Its time of change was long ago, so that the clock's grain hides nothing. */
function overwrite(path: string): void {
  const fd = fs.openSync(path, 'r+');
  fs.writeSync(fd, 'mine', 0);
  fs.closeSync(fd);
}

test('what somebody writes over zeros after the look is not written over', async () => {
  for (const lengthBytes of [4, 20_000]) {
    const here = place();
    const path = join(here.output, 't/sub/b');
    fs.writeFileSync(path, Buffer.alloc(lengthBytes));
    fs.utimesSync(path, 1e9, 1e9);
    await assert.rejects(
      prepareLate(here, () => overwrite(path)),
      isError('FILE_EXISTS', path),
    );
    assert.equal(fs.readFileSync(path, 'latin1').slice(0, 4), 'mine');
  }
});

/** What `prepare` gives to `makeFiles`: two files of no content, one of which has its length. */
async function makeTask({ output }: Place): Promise<MakeTask> {
  const { files } = scenes.metainfoOf(TREE.slice(1), 64 * 1024 * 1024);
  fs.writeFileSync(join(output, 't/sub/b'), '');
  fs.writeFileSync(join(output, 't/sub/c'), Buffer.alloc(100));
  for (const name of ['t/sub/b', 't/sub/c']) fs.utimesSync(join(output, name), 1e9, 1e9);
  return {
    found: await survey({ files, isSkipped: () => false, ownFile: files.length, output, forWriting: true }),
    volume: fs.statfsSync(output),
    output,
    entry: (file) => files[file]!,
    path: (file) => join(output, ...files[file]!.path),
    partFile: files.length,
    reserve: false,
    hasInodes: true,
    isExact: true,
    empty: new Set([0, 1]),
  };
}

test('what somebody writes into such a file while others are made shows when the files are noted', async () => {
  for (const [file, name] of ['t/sub/b', 't/sub/c'].entries()) {
    const here = place();
    const task = await makeTask(here);
    const made = await makeFiles(task);
    assert.ok(!(made instanceof Changed));
    fs.utimesSync(join(here.output, name), 1e9 + 1, 1e9 + 1);
    const identities = new Identities({
      files: [0, 1],
      pathOf: task.path,
      lengthOf: (index) => task.entry(index).lengthBytes,
      partFile: 2,
      hasInodes: true,
      isExact: true,
    });
    assert.equal(await identities.note(made), file);
  }
});

test('what somebody wrote into a file that was made is not taken back with it', async () => {
  const here = place();
  const task = await makeTask(here);
  const path = task.path(0);
  const link = {
    target: 'a',
    get path(): string {
      overwrite(path);
      fs.utimesSync(path, 1e9 + 1, 1e9 + 1);
      return task.path(1);
    },
  };
  // The link cannot be made, and so all else is undone.
  assert.ok((await makeFiles({ ...task, found: { ...task.found, missingLinks: [link] } })) instanceof Changed);
  assert.equal(fs.readFileSync(path, 'latin1').slice(0, 4), 'mine');
});

test('the output folder is named as the kernel names it, whatever was typed', async () => {
  const { output } = place();
  assert.equal(await nameOfFolder(output, 'typed'), fs.realpathSync(output));
  assert.equal(await nameOfFolder(output, '/mnt/Stick', () => '/mnt/STICK'), '/mnt/STICK');
  assert.equal(await nameOfFolder(output, '/mnt/Stick', () => null), '/mnt/Stick');
  assert.equal(await nameOfFolder(join(output, 'gone'), '/mnt/Stick'), '/mnt/Stick');
});

test('a folder that somebody else makes meanwhile is as good', async () => {
  const here = place();
  fs.rmdirSync(join(here.output, 't/sub'));
  await prepare(here, () => fs.mkdirSync(join(here.output, 't/sub')));
  assert.equal(fs.statSync(join(here.output, 't/sub/b')).size, 20_000);
});

test('who replaces files for ever is named, and nothing of what is there is changed', async () => {
  const here = place();
  const path = join(here.output, 't/a');
  const swap = (): void => {
    fs.writeFileSync(`${path}.new`, 'ours');
    fs.renameSync(`${path}.new`, path);
  };
  await assert.rejects(prepare(here, swap, 100), isError('BAD_DATA', `${path} is not what it was a moment ago`));
  assert.equal(fs.readFileSync(path, 'latin1'), 'ours');
  assert.deepEqual(fs.readdirSync(join(here.output, 't/sub')), []);
});
