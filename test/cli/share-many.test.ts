/** Several paths, several sharers, and the addresses that are listened on and told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { haul, type Line, makeFolder, start } from './harness.js';

/** Two sources of other names. */
async function sources(context: TestContext): Promise<{ folder: string; first: string; second: string }> {
  const folder = await makeFolder(context);
  const [first, second] = [join(folder, 'first'), join(folder, 'second')] as const;
  await writeFile(first, Buffer.alloc(100_000, 1));
  await mkdir(second);
  await writeFile(join(second, 'file'), Buffer.alloc(50_000, 2));
  return { folder, first, second };
}

describe('haul share', () => {
  it('makes a torrent of each path, and serves them all from one process', async (context) => {
    const { folder, first, second } = await sources(context);
    const sharer = start(context, 'share', first, second, '--http', '0', '--port', '0', '--json');
    await sharer.line((line) => line.type === 'listening' && line.name === 'second');
    const listening = sharer.lines.filter((line) => line.type === 'listening');
    assert.deepEqual(
      listening.map(({ name }) => name),
      ['first', 'second'],
    );
    const output = join(folder, 'copy');
    for (const { loopbackUrl } of listening) {
      const got = await haul('get', String(loopbackUrl), '-o', output, '--port', '0', '--json');
      assert.equal(got.exitCode, 0, got.stderr);
    }
    assert.deepEqual(await readFile(join(output, 'second/file')), await readFile(join(second, 'file')));
    assert.deepEqual(await readFile(join(output, 'first')), await readFile(first));
    const { exitCode, lines } = await sharer.stop();
    assert.equal(exitCode, 0);
    const result = lines.at(-1) as Line & { lengthBytes: number };
    assert.equal(result.lengthBytes, 150_000);
    assert.equal(result.uploadedBytes, 150_000);
  });

  it('refuses two paths of one name', async (context) => {
    const { folder, first } = await sources(context);
    await mkdir(join(folder, 'other'));
    await writeFile(join(folder, 'other/first'), 'x');
    const refused = await haul('share', first, join(folder, 'other/first'), '--http', '0', '--port', '0');
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^haul: \S+first and \S+other\/first have the same name, [^\n]+; share them apart\n$/);
  });

  it('takes the next free port beside another sharer, and says so once', async (context) => {
    const { first, second } = await sources(context);
    // The usual port is taken by us, or by somebody else on this machine.
    const taken = createServer().listen(6969);
    await Promise.race([once(taken, 'listening'), once(taken, 'error')]);
    context.after(() => void taken.close());
    const start2 = (path: string) => start(context, 'share', path, '--port', '0', '--no-state', '--verbose');
    const sharers = [start2(first), start2(second)];
    const ports: string[] = [];
    for (const sharer of sharers) {
      await sharer.text(/Ctrl-C ends it/);
      const { exitCode, stdout, stderr } = await sharer.stop();
      assert.equal(exitCode, 0, stderr);
      const said = [...stderr.matchAll(/^haul: port 6969 is in use: the \.torrent is served at port (\d+)$/gm)];
      assert.equal(said.length, 1, stderr);
      ports.push(said[0]![1]!);
      assert.match(stdout, new RegExp(`haul get http://\\S+:${said[0]![1]}/`));
    }
    assert.notEqual(ports[0], '6969');
    assert.notEqual(ports[0], ports[1]);
    const named = await haul('share', first, '--http', '6969', '--port', '0', '--no-state');
    assert.equal(named.exitCode, 1);
    assert.match(named.stderr, /in use[^\n]*--http N; 0 takes any free port\)\n$/);
  });
});
