/** The depot's page in a real Chromium: what people do with it, and what strangers would do to them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { PACKAGE_ROOT } from '../../../lab/root.js';
import { openScope, Scope } from '../../../lab/scope.js';
import { startAgent } from '../../../src/depot/agent/agent.js';
import type { Depot } from '../../../src/depot/api.js';
import { startDepot } from '../../../src/depot/depot.js';
import { requirePrograms } from '../../support/requirements.js';
import { CHROMIUM, openBrowser } from './chromium.js';

const exec = promisify(execFile);
const require = createRequire(import.meta.url);
/** Set: the picture in the docs is made anew. */
const KEEPS_PICTURE = process.env.SWARMHAUL_SCREENSHOT === '1';
const WRITER = 'a'.repeat(43);
const TOKEN_FILE_LINE = `${WRITER} read,write,delete`;

/** One browser for all: each page is a stranger to the others. */
const all = new Scope();
after(() => all.close());
let launched: Promise<Browser> | null = null;

interface Scene {
  readonly scope: Scope;
  readonly folder: string;
  readonly depot: Depot;
  readonly browser: Browser;
}

async function openScene(
  context: TestContext,
  options: Partial<Parameters<typeof startDepot>[0]> = {},
): Promise<Scene> {
  const scope = openScope(context);
  const folder = mkdtempSync(path.join(tmpdir(), 'haul-page-'));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const depot = await startDepot({ data: path.join(folder, 'data'), httpPort: 0, engine: { port: 0 }, ...options });
  scope.defer(() => depot.close(0));
  launched ??= openBrowser(all);
  const browser = await launched;
  return { scope, folder, depot, browser };
}

interface Opened {
  readonly page: Page;
  /** What the page complained about: scripts, and whatever its policy refused. */
  readonly complaints: string[];
}

async function openPage(
  { browser, depot, scope }: Pick<Scene, 'browser' | 'scope'> & { readonly depot: { readonly url: string } },
  more: Parameters<Browser['newPage']>[0] = {},
): Promise<Opened> {
  const page = await browser.newPage({ viewport: { width: 1000, height: 900 }, ...more });
  scope.defer(() => page.close());
  page.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // The browser notes each refusal; 412 is how the page asks whether a token is needed.
    if (message.type() === 'error' && !/status of 4(?:0[14]|12)/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(depot.url);
  return { page, complaints };
}

const row = (page: Page, name: string) => page.locator('#rows tr', { hasText: name });

async function axe(page: Page): Promise<string[]> {
  const source = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(source);
  const { violations } = (await page.evaluate('axe.run(document)')) as AxeResults;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

test('what is published spreads over three agents, and is deleted, before the eyes of all', async (context) => {
  if (await requirePrograms(context, [CHROMIUM, 'curl'])) return;
  const scene = await openScene(context);
  const { depot, folder, scope } = scene;
  const { page, complaints } = await openPage(scene);
  await page.locator('#link.live').waitFor();
  const bytes = randomBytes(16 << 20);
  const image = path.join(folder, 'image.raw');
  await writeFile(image, bytes);
  await page.getByLabel('Publish below').fill('ci/42');
  await page.locator('#upload-files').setInputFiles(image);
  await row(page, 'ci/42/image.raw').waitFor();
  await exec('curl', ['-sS', '--fail', '-T', image, `${depot.url}/artifacts/by/curl.raw?retention-days=3`]);
  await row(page, 'by/curl.raw')
    .getByText(/in [23] days/)
    .waitFor();
  await page.locator('#next').getByText('by/curl.raw').waitFor();
  const digest = createHash('sha256').update(bytes).digest('hex');
  const done = [0, 1, 2].map(async (number) => {
    const agent = await startAgent({
      depot: depot.url,
      cache: path.join(folder, `agent-${number}`),
      httpPort: 0,
      // As slow as somebody who watches.
      engine: { port: 0, downloadBytesPerSec: 1 << 20 },
    });
    scope.defer(() => agent.close(0));
    const got = Buffer.from(await (await fetch(`${agent.url}/artifacts/ci/42/image.raw`)).arrayBuffer());
    assert.equal(createHash('sha256').update(got).digest('hex'), digest);
    assert.ok(agent.stats().peerBytes > 0, 'nothing came from peers');
  });
  const awake = page.locator('#torrents tr', { hasText: 'image.raw' });
  await awake.getByRole('button', { name: /^Show who has what/ }).click();
  await page.locator('#map-text li').nth(3).waitFor();
  assert.match((await page.locator('#map-text li').first().textContent()) ?? '', /^Here: 100 %/);
  const isPainted = await page.evaluate(`(() => { const canvas = document.getElementById('map-canvas');
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((one) => one > 0); })()`);
  assert.equal(isPainted, true);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await axe(page), [], colorScheme);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.mouse.move(0, 0);
  const picture = KEEPS_PICTURE ? path.join(PACKAGE_ROOT, 'docs/page.png') : path.join(folder, 'page.png');
  await page.screenshot({ path: picture });
  await Promise.all(done);
  await row(page, 'by/curl.raw')
    .getByRole('button', { name: /^Delete/ })
    .click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await row(page, 'by/curl.raw').waitFor({ state: 'detached' });
  assert.equal((await fetch(`${depot.url}/artifacts/by/curl.raw`)).status, 404);
  assert.deepEqual(complaints, []);
});

test('a token is asked for when one is needed, used, and kept for the tab alone', async (context) => {
  if (await requirePrograms(context, [CHROMIUM])) return;
  const scene = await openScene(context, { tokenLines: TOKEN_FILE_LINE, anonymous: 'none' });
  const { page, complaints } = await openPage(scene);
  const dialog = page.locator('#token-dialog[open]');
  await dialog.waitFor();
  await page.locator('#token').fill(WRITER);
  await page.keyboard.press('Enter');
  await page.locator('#link.live').waitFor();
  await page
    .locator('#upload-files')
    .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') });
  await row(page, 'a.txt').getByRole('button', { name: /^Pin/ }).press('Enter');
  await row(page, 'a.txt').getByText('never: pinned').waitFor();
  assert.equal(await page.evaluate('sessionStorage.length + localStorage.length + document.cookie.length'), 1);
  assert.ok(!(await page.content()).includes(WRITER));
  assert.deepEqual(complaints, []);
});

test('names are text, whatever is in them, and many of them are pages', async (context) => {
  if (await requirePrograms(context, [CHROMIUM])) return;
  const scene = await openScene(context);
  const { depot } = scene;
  const long = 'x'.repeat(250);
  const names = [
    '<img src=x onerror=alert(1)>',
    '\'"&lt;b>',
    'gpj.\u202egnp.exe',
    'שלום עולם',
    `${long}/${long}/${long}`,
  ];
  const published: string[] = [];
  const many = Array.from({ length: 60 }, (_, at) => `many/${String(at).padStart(3, '0')}`);
  await Promise.all(
    [...names, ...many].map(async (name) => {
      const url = `${depot.url}/artifacts/${name.split('/').map(encodeURIComponent).join('/')}`;
      if ((await fetch(url, { method: 'PUT', body: name })).ok) published.push(name);
    }),
  );
  assert.ok(published.length >= 62, String(published.length));
  const { page, complaints } = await openPage(scene, { viewport: { width: 340, height: 640 } });
  page.on('dialog', (dialog) => complaints.push(dialog.message()));
  await page.locator('#rows tr').nth(49).waitFor();
  assert.equal(await page.locator('#rows tr').count(), 50);
  assert.equal(await page.locator('#rows img').count(), 0);
  assert.ok(!/[\u202a-\u202e]/.test(await page.locator('body').innerText()));
  // Nothing stands beyond the edge of a small screen.
  assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true);
  assert.deepEqual(await axe(page), []);
  await page.getByRole('button', { name: 'After' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('#page-text', { hasText: /^Page 2: 1[0-5] names/ }).waitFor();
  await page.getByLabel('Search').fill('many/059');
  await page.locator('#page-text', { hasText: 'Page 1: 1 names' }).waitFor();
  await page.getByLabel('Search').fill('[*');
  await page.getByText('No name on this page has this text.').waitFor();
  assert.deepEqual(complaints, []);
});

test("an agent's page shows what it has, and the names of its depot", async (context) => {
  if (await requirePrograms(context, [CHROMIUM])) return;
  const scene = await openScene(context);
  const { depot, folder, scope } = scene;
  const agent = await startAgent({
    depot: depot.url,
    cache: path.join(folder, 'cache'),
    cacheBytes: 1 << 30,
    httpPort: 0,
    engine: { port: 0 },
  });
  scope.defer(() => agent.close(0));
  assert.ok((await fetch(`${depot.url}/artifacts/a.raw`, { method: 'PUT', body: 'a'.repeat(5_000) })).ok);
  assert.equal((await (await fetch(`${agent.url}/artifacts/a.raw`)).text()).length, 5_000);
  const { page, complaints } = await openPage({ ...scene, depot: agent });
  await page.locator('#link.live').waitFor();
  await page.getByRole('heading', { name: 'Swarmhaul agent' }).waitFor();
  await page.locator('#figures').getByText('4.9 KiB').waitFor();
  await page.locator('#rows tr', { hasText: 'a.raw' }).waitFor();
  assert.equal((await fetch(`${agent.url}/status/${'0'.repeat(40)}`)).status, 404);
  assert.deepEqual(await axe(page), []);
  assert.deepEqual(complaints, []);
});

test('the page comes again when the depot does', async (context) => {
  if (await requirePrograms(context, [CHROMIUM])) return;
  const scene = await openScene(context);
  const { page } = await openPage(scene);
  await page.locator('#link.live').waitFor();
  const { depot, folder } = scene;
  await depot.close(0);
  await page.locator('#link.lost').waitFor();
  const again = await startDepot({ data: path.join(folder, 'data'), httpPort: depot.port, engine: { port: 0 } });
  scene.scope.defer(() => again.close(0));
  await page.locator('#link.live').waitFor();
});
