/** Build tools that keep what they made at a depot: ccache and Bazel, as Debian has them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { requirePrograms } from '../../support/requirements.js';
import { type DepotPlace, openPlace } from './depot-place.js';

const exec = promisify(execFile);

type Figures = Readonly<Record<string, number>>;

/** A person's ccache with a folder of its own. */
function ccacheOf({ url, folder }: DepotPlace, settings: Readonly<Record<string, string>> = {}) {
  const env = {
    ...process.env,
    CCACHE_DIR: join(folder, 'ccache'),
    CCACHE_CONFIGPATH: '/dev/null',
    CCACHE_REMOTE_STORAGE: `${url}|layout=bazel`,
    ...settings,
  };
  const run = (...words: string[]) => exec('ccache', words, { env, cwd: folder });
  return {
    compile: (source: string) => run('gcc', '-c', source, '-o', `${source}.o`),
    forget: () => rm(env.CCACHE_DIR, { recursive: true, force: true }),
    async figures(): Promise<Figures> {
      const { stdout } = await run('--print-stats');
      return Object.fromEntries(stdout.split('\n').map((line) => [line.split('\t')[0]!, Number(line.split('\t')[1])]));
    },
  };
}

async function compileTwice(context: TestContext, settings: Readonly<Record<string, string>>): Promise<void> {
  const place = await openPlace(context);
  const ccache = ccacheOf(place, settings);
  await writeFile(join(place.folder, 'one.c'), 'int main(void) { return 42; }\n');
  await ccache.compile('one.c');
  const first = await readFile(join(place.folder, 'one.c.o'));
  const { remote_storage_write: written = 0, remote_storage_error: failures } = await ccache.figures();
  assert.ok(written >= 2, `${written} entries were written`);
  assert.equal(failures, 0);
  await ccache.forget();
  await rm(join(place.folder, 'one.c.o'));
  await ccache.compile('one.c');
  const again = await ccache.figures();
  assert.deepEqual(
    [again.cache_miss, again.remote_storage_hit, again.remote_storage_error, again.remote_storage_timeout],
    [0, 1, 0, 0],
  );
  assert.deepEqual(await readFile(join(place.folder, 'one.c.o')), first);
  assert.ok(place.requests.every(({ path }) => /^\/ac\/[0-9a-f]{64}$/.test(path)));
}

test('ccache finds at the depot what its own folder has lost', async (context) => {
  if (await requirePrograms(context, ['ccache', 'gcc'])) return;
  await compileTwice(context, {});
});

test('ccache keeps everything at the depot and nothing here', async (context) => {
  if (await requirePrograms(context, ['ccache', 'gcc'])) return;
  await compileTwice(context, { CCACHE_REMOTE_ONLY: 'true' });
});

test('ccache lays its own folders out below a name, which may have a token of its own', async (context) => {
  if (await requirePrograms(context, ['ccache', 'gcc'])) return;
  const token = 'a'.repeat(43);
  const place = await openPlace(context, { tokenLines: `${token} read,write ccache/`, anonymous: 'none' });
  await writeFile(join(place.folder, 'one.c'), 'int one = 1;\n');
  const url = `${place.url.replace('//', `//u:${token}@`)}/artifacts/ccache`;
  const ccache = ccacheOf(place, { CCACHE_REMOTE_STORAGE: `${url}|layout=subdirs` });
  await ccache.compile('one.c');
  await ccache.forget();
  await ccache.compile('one.c');
  const { cache_miss, remote_storage_hit, remote_storage_error } = await ccache.figures();
  assert.deepEqual([cache_miss, remote_storage_hit, remote_storage_error], [0, 1, 0]);
});

test('ccache that may not write goes on, and one with a token in its URL may', async (context) => {
  if (await requirePrograms(context, ['ccache', 'gcc'])) return;
  const token = 'a'.repeat(43);
  const place = await openPlace(context, { tokenLines: `${token} read,write,delete` });
  await writeFile(join(place.folder, 'one.c'), 'int one = 1;\n');
  const stranger = ccacheOf(place);
  await stranger.compile('one.c');
  assert.ok(place.requests.some(({ method, status }) => method === 'PUT' && status === 401));
  await stranger.forget();
  const known = ccacheOf(place, { CCACHE_REMOTE_STORAGE: `${place.url.replace('//', `//u:${token}@`)}|layout=bazel` });
  await known.compile('one.c');
  assert.ok(place.requests.some(({ method, status }) => method === 'PUT' && status === 201));
  assert.equal((await known.figures()).remote_storage_error, 0);
});

test('Bazel builds once, and takes what it built from the depot after that', { timeout: 180_000 }, async (context) => {
  if (await requirePrograms(context, ['bazel'])) return;
  const place = await openPlace(context);
  const workspace = join(place.folder, 'workspace');
  await mkdir(workspace);
  await writeFile(join(workspace, 'WORKSPACE'), '');
  const cmd = 'head -c 300000 /dev/zero > $@; date +%N >> $@';
  await writeFile(join(workspace, 'BUILD'), `genrule(name = "g", outs = ["out.bin"], cmd = "${cmd}")\n`);
  const root = join(place.folder, 'bazel');
  // Debian's own settings stay: where its install base is.
  const bazel = (...words: string[]) =>
    exec('bazel', [`--output_user_root=${root}`, '--nohome_rc', ...words], { cwd: workspace });
  const build = async (...more: string[]) => {
    const words = [`--remote_cache=${place.url}`, '--spawn_strategy=local', ...more, '//:g'];
    const { stderr } = await bazel('build', ...words);
    return { stderr, bytes: await readFile(join(workspace, 'bazel-bin', 'out.bin')) };
  };
  try {
    const first = await build();
    assert.doesNotMatch(first.stderr, /remote cache hit/);
    await bazel('clean');
    const second = await build();
    assert.match(second.stderr, /1 remote cache hit/);
    // It has the time in it: whoever builds it again gets another.
    assert.deepEqual(second.bytes, first.bytes);
    // Its outputs went: the action is run again, and what it makes is put.
    for (const path of new Set(place.requests.map((request) => request.path)))
      if (path.startsWith('/cas/')) await fetch(`${place.url}${path}`, { method: 'DELETE' });
    await bazel('clean');
    const third = await build('--remote_download_minimal');
    assert.doesNotMatch(third.stderr, /remote cache hit|WARNING/);
    await bazel('clean');
    assert.match((await build()).stderr, /1 remote cache hit/);
  } finally {
    await bazel('shutdown').catch(() => {});
    await exec('chmod', ['-R', 'u+w', root]);
  }
  const asked = (method: string, status: number, path: RegExp): boolean =>
    place.requests.some((request) => request.method === method && request.status === status && path.test(request.path));
  assert.ok(asked('GET', 404, /^\/ac\//));
  assert.ok(asked('PUT', 201, /^\/cas\//));
  assert.ok(asked('PUT', 201, /^\/ac\//));
  assert.ok(asked('GET', 200, /^\/ac\//));
  assert.ok(asked('GET', 200, /^\/cas\//));
});

test('the requests of Bazel: an action is missed, its outputs and itself are put, all is got', async (context) => {
  if (await requirePrograms(context, ['curl'])) return;
  const { url, folder } = await openPlace(context);
  const curl = async (...words: string[]): Promise<string> =>
    (await exec('curl', ['-sS', '-o', join(folder, 'back'), '-w', '%{http_code}', ...words])).stdout;
  const output = Buffer.from('what was built');
  const sha256 = createHash('sha256').update(output).digest('hex');
  const action = createHash('sha256').update('command and inputs').digest('hex');
  const accept = ['-H', 'Accept: */*', '-H', 'Accept-Encoding: gzip'];
  await writeFile(join(folder, 'output'), output);
  await writeFile(join(folder, 'action'), 'an ActionResult, which is no hash of its name');
  assert.equal(await curl(...accept, `${url}/ac/${action}`), '404');
  assert.equal(await curl('-I', `${url}/cas/${sha256}`), '404');
  assert.equal(await curl('-T', join(folder, 'output'), `${url}/cas/${sha256}`), '201');
  assert.equal(await curl('-T', join(folder, 'output'), `${url}/cas/${sha256}`), '200');
  assert.equal(await curl('-T', join(folder, 'action'), `${url}/cas/${sha256}`), '409');
  assert.equal(await curl('-T', join(folder, 'action'), `${url}/cas/${action}`), '422');
  assert.equal(await curl('-T', join(folder, 'action'), `${url}/ac/${action}`), '201');
  assert.equal(await curl('-T', join(folder, 'output'), `${url}/ac/${action}`), '200');
  assert.equal(await curl(...accept, `${url}/cas/${sha256}`), '200');
  assert.deepEqual(await readFile(join(folder, 'back')), output);
});
