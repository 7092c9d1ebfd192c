import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { run } from '../../lab/child.js';
import { openScope } from '../../lab/scope.js';
import { HttpClient } from '../../src/net/http-client.js';

const CLIENT = new URL('../../src/net/http-client.js', import.meta.url).href;

async function whileServing<T>(use: (origin: string) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => response.end(`you asked for ${request.url}`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('a client asks, and after its end says so instead', async () => {
  await whileServing(async (origin) => {
    const client = new HttpClient();
    const { statusCode, body } = await client.request({ origin, path: '/x?y', method: 'GET' });
    assert.equal(statusCode, 200);
    assert.equal(await body.text(), 'you asked for /x?y');
    await client.destroy();
    await client.destroy();
    await assert.rejects(client.request({ origin, path: '/', method: 'GET' }), { code: 'UND_ERR_DESTROYED' });
  });
});

test('a client that was never used has loaded nothing and ends at once', async () => {
  const client = new HttpClient();
  await client.destroy();
  await assert.rejects(client.request({ origin: 'http://127.0.0.1:1', path: '/', method: 'GET' }), {
    code: 'UND_ERR_DESTROYED',
  });
});

test('a request loads the parts of undici that make one, not all of it', async (context) => {
  const code = `import { createRequire } from 'node:module';
    import { HttpClient } from ${JSON.stringify(CLIENT)};
    const { cache } = createRequire(${JSON.stringify(CLIENT)});
    const parts = () => Object.keys(cache).filter((file) => file.includes('/undici/'));
    const before = parts().length;
    const client = new HttpClient();
    const { body } = await client.request({ origin: process.argv[1], path: '/', method: 'GET' });
    const text = await body.text();
    await client.destroy();
    console.log(JSON.stringify({ before, text, parts: parts() }));`;
  const stdout = await whileServing((origin) =>
    run(openScope(context), process.execPath, ['--input-type=module', '--eval', code, origin]),
  );
  const { before, text, parts } = JSON.parse(stdout) as { before: number; text: string; parts: string[] };
  assert.equal(before, 0);
  assert.equal(text, 'you asked for /');
  assert.ok(parts.length > 10 && parts.length < 40, `${parts.length} files of undici`);
  assert.ok(!parts.some((file) => file.endsWith('/undici/index.js')));
});
