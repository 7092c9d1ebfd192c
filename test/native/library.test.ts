/** The native library is loaded when it is whole and of this interface, and not missed otherwise. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { run } from '../../lab/child.js';
import { missingTool } from '../../lab/clients/client.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { build, thisArchitecture } from '../../native/build.js';
import { loadFirst, NATIVE_INTERFACE, nativeLoad } from '../../src/native/library.js';
import { skipWithout } from '../support/requirements.js';

const LIBRARY = new URL('../../src/native/library.js', import.meta.url).href;

async function withScope(body: (scope: Scope) => Promise<void>): Promise<void> {
  const scope = new Scope();
  try {
    await body(scope);
  } finally {
    await scope.close();
  }
}

async function noCompiler(): Promise<string | null> {
  if (thisArchitecture() === null) return `there is no native code for ${process.platform} ${process.arch}`;
  const missing = await missingTool([process.env.CC ?? 'cc']);
  return missing === null ? null : `${missing} is not installed`;
}

/** A script in a process of its own. */
async function script(scope: Scope, text: string, env: Record<string, string> = {}): Promise<unknown> {
  const code = `import { nativeLoad, loadFirst } from '${LIBRARY}'; console.log(JSON.stringify(${text}))`;
  const words = ['--input-type=module', '-e', code];
  return JSON.parse(await run(scope, process.execPath, words, { env: { SWARMHAUL_NATIVE: '', ...env } }));
}

test('the interface has one number', async () => {
  const header = await readFile(path.join(PACKAGE_ROOT, 'native', 'swarmhaul.h'), 'utf8');
  assert.equal(Number(/^#define SH_INTERFACE (\d+)$/m.exec(header)?.[1]), NATIVE_INTERFACE);
});

test('what was built is loaded, in every thread', async (t) => {
  if (skipWithout(t, await noCompiler())) return;
  await withScope(async (scope) => {
    assert.deepEqual(await script(scope, 'nativeLoad().reasons'), []);
    assert.equal(await script(scope, 'nativeLoad().functions.interface()'), NATIVE_INTERFACE);
  });
  const code = `import('${LIBRARY}').then(({ nativeLoad }) =>
    require('node:worker_threads').parentPort.postMessage(nativeLoad().functions.interface()))`;
  const worker = new Worker(code, { eval: true, env: { ...process.env, SWARMHAUL_NATIVE: '' } });
  const answer = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  assert.equal(answer, NATIVE_INTERFACE);
  await worker.terminate();
});

test('SWARMHAUL_NATIVE=off does without, and says so', () =>
  withScope(async (scope) => {
    const found = await script(scope, 'nativeLoad()', { SWARMHAUL_NATIVE: 'off' });
    assert.deepEqual(found, { functions: null, path: null, reasons: ['SWARMHAUL_NATIVE=off'] });
  }));

test('asking twice loads once', () => {
  assert.equal(nativeLoad(), nativeLoad());
});

test('a library that is cut off, changed, empty or no library is passed over, and the next one is taken', async (t) => {
  if (skipWithout(t, await noCompiler())) return;
  await withScope(async (scope) => {
    const folder = await tempFolder(scope);
    const architecture = thisArchitecture()!;
    const whole = await build({ compiler: process.env.CC ?? 'cc', architecture, folder: path.join(folder, 'whole') });
    const content = await readFile(whole);
    const changed = Buffer.from(content);
    changed[content.length >> 1]! ^= 1;
    const text = Buffer.from('not a library');
    const wrong: [string, Buffer, string][] = [
      ['cut', content.subarray(0, content.length >> 1), 'its checksum is wrong'],
      ['changed', changed, 'its checksum is wrong'],
      ['empty', Buffer.alloc(0), 'its checksum is wrong'],
      ['text', Buffer.concat([text, createHash('sha256').update(text).digest()]), ''],
    ];
    const files = [path.join(folder, 'none', 'libswarmhaul.so')];
    for (const [name, bytes] of wrong) {
      const file = path.join(folder, `${name}.so`);
      await writeFile(file, bytes);
      files.push(file);
    }
    const load = loadFirst([...files, whole]);
    assert.equal(load.path, whole);
    assert.equal(load.functions?.interface(), NATIVE_INTERFACE);
    assert.equal(load.reasons.length, files.length);
    assert.match(load.reasons[0]!, /none\/libswarmhaul\.so: not there$/);
    for (const [index, [, , reason]] of wrong.entries()) assert.ok(load.reasons[index + 1]!.endsWith(reason));
    assert.equal(loadFirst(files).functions, null);
  });
});

test('a library of another interface is passed over', async (t) => {
  if (skipWithout(t, await noCompiler())) return;
  await withScope(async (scope) => {
    const folder = await tempFolder(scope);
    const source = path.join(folder, 'other.c');
    const made = path.join(folder, 'made.so');
    await writeFile(source, 'int sh_interface(void) { return 99; }\n');
    await run(scope, process.env.CC ?? 'cc', ['-shared', '-fPIC', source, '-o', made]);
    const content = await readFile(made);
    const signed = path.join(folder, 'signed.so');
    await copyFile(made, signed);
    await writeFile(signed, Buffer.concat([content, createHash('sha256').update(content).digest()]));
    const { functions, reasons } = loadFirst([signed]);
    assert.equal(functions, null);
    assert.match(reasons[0]!, new RegExp(`it has interface 99, not ${NATIVE_INTERFACE}$`));
  });
});

test('it is built once for the same sources, and a compiler that is missing is told from one that fails', async (t) => {
  if (skipWithout(t, await noCompiler())) return;
  await withScope(async (scope) => {
    const folder = await tempFolder(scope);
    const task = { compiler: process.env.CC ?? 'cc', architecture: thisArchitecture()!, folder };
    const file = await build(task);
    const first = await readFile(file);
    assert.equal(await build(task), file);
    assert.deepEqual(await readFile(file), first);
    await assert.rejects(build({ ...task, compiler: path.join(folder, 'no-cc') }), { code: 'ENOENT' });
    await assert.rejects(build({ ...task, compiler: 'false' }), { code: 1 });
    assert.deepEqual(await readFile(file), first);
  });
});
