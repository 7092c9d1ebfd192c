/** `npm run build` of a small checkout, whose compiler is a script: nothing is made twice, nothing stale is left. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../lab/child.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';

/** Copies, and says so; with its record it would leave outputs alone, as the real one does. Runs `during` first. */
const COMPILER = `
const fs = require('node:fs');
if (!process.argv[3].startsWith('src')) {
  const isPartial = fs.existsSync('dist/.tsbuildinfo');
  fs.appendFileSync('log', isPartial ? 'part ' : 'all ');
  const sources = ['src/a.ts', 'src/b.ts', 'native/build.ts', 'bundle/build.ts'].filter((name) => fs.existsSync(name));
  for (const name of sources) {
    fs.mkdirSync('dist/' + name.split('/')[0], { recursive: true });
    fs.copyFileSync(name, 'dist/' + name.replace('.ts', '.js'));
  }
  fs.writeFileSync('dist/.tsbuildinfo', '');
  if (fs.existsSync('during.js')) require(process.cwd() + '/during.js');
}
`;
const BUNDLER = `
const fs = require('node:fs');
fs.appendFileSync('log', 'bundle ');
fs.mkdirSync('dist/src/bundle', { recursive: true });
fs.copyFileSync('src/a.ts', 'dist/src/bundle/a.cjs');
`;

class Checkout {
  readonly scope: Scope;
  readonly root: string;

  constructor(scope: Scope, root: string) {
    this.scope = scope;
    this.root = root;
  }

  async write(name: string, text: string): Promise<void> {
    await mkdir(path.dirname(path.join(this.root, name)), { recursive: true });
    await writeFile(path.join(this.root, name), text);
  }

  /** @returns what was done */
  async build(...words: string[]): Promise<string> {
    await this.write('log', '');
    await run(this.scope, process.execPath, ['bundle/make.mjs', ...words], { cwd: this.root });
    return (await readFile(path.join(this.root, 'log'), 'utf8')).trim();
  }
}

async function openCheckout(t: TestContext): Promise<Checkout> {
  const scope = openScope(t);
  const checkout = new Checkout(scope, await tempFolder(scope));
  await checkout.write('bundle/build.ts', BUNDLER);
  await cp(path.join(PACKAGE_ROOT, 'bundle/make.mjs'), path.join(checkout.root, 'bundle/make.mjs'));
  await checkout.write('node_modules/typescript/lib/tsc.js', COMPILER);
  for (const name of ['src/a.ts', 'src/b.ts', 'native/build.ts']) await checkout.write(name, `'${name}';\n`);
  assert.equal(await checkout.build(), 'all bundle');
  return checkout;
}

test('a build of the same sources does nothing', async (t) => {
  const checkout = await openCheckout(t);
  assert.equal(await checkout.build(), '');
  assert.equal(await checkout.build('--anew'), 'all bundle');
});

test('another text of the same length and date is built', async (t) => {
  const checkout = await openCheckout(t);
  const file = path.join(checkout.root, 'src/a.ts');
  const { atime, mtime } = await stat(file);
  await checkout.write('src/a.ts', `'src/c.ts';\n`);
  await utimes(file, atime, mtime);
  assert.equal(await checkout.build(), 'part bundle');
  assert.equal(await checkout.build(), '');
});

test('an output that another hand has changed is made again, by a compiler without its record', async (t) => {
  const checkout = await openCheckout(t);
  await checkout.write('dist/src/b.js', 'other');
  assert.equal(await checkout.build(), 'all bundle');
  await rm(path.join(checkout.root, 'dist/src/b.js'));
  assert.equal(await checkout.build(), 'all bundle');
  await checkout.write('dist/src/bundle/a.cjs', 'other');
  assert.equal(await checkout.build(), 'bundle');
  assert.equal(await checkout.build(), '');
});

test('what is edited while the compiler runs is built the next time', async (t) => {
  const checkout = await openCheckout(t);
  await checkout.write('during.js', `require('node:fs').writeFileSync('src/b.ts', 'late')`);
  await checkout.write('src/a.ts', 'first');
  assert.equal(await checkout.build(), 'part bundle');
  assert.equal(await checkout.build(), 'part bundle');
  assert.equal(await checkout.build(), '');
});

test('the output of a source that is gone is removed', async (t) => {
  const checkout = await openCheckout(t);
  await rm(path.join(checkout.root, 'src/b.ts'));
  assert.equal(await checkout.build(), 'part bundle');
  assert.equal(existsSync(path.join(checkout.root, 'dist/src/b.js')), false);
});

test('after a compiler that failed, or other packages, it is built again', async (t) => {
  const checkout = await openCheckout(t);
  await checkout.write('during.js', 'process.exit(2)');
  await checkout.write('src/a.ts', 'wrong');
  await assert.rejects(checkout.build());
  await checkout.write('src/a.ts', `'src/a.ts';\n`);
  await rm(path.join(checkout.root, 'during.js'));
  assert.equal(await checkout.build(), 'all bundle');
  await checkout.write('node_modules/.package-lock.json', '{}');
  assert.equal(await checkout.build(), 'part bundle');
});
