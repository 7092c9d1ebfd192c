/** A GET whose sink is broken: that is our own error, and no trouble of a server. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const moduleUrl = (name: string): string => JSON.stringify(new URL(`../../src/net/${name}.js`, import.meta.url).href);

/** One GET after the other in a process of its own, with a sink of which another part throws each time. */
const PROGRAM = `
  const { createServer } = await import('node:http');
  const { RangeGet } = await import(${moduleUrl('range-get')});
  const { HttpClient } = await import(${moduleUrl('http-client')});
  const client = new HttpClient();
  const server = createServer((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/there' }).end();
    else if (request.url === '/there') response.end('0123456789');
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = 'http://127.0.0.1:' + server.address().port;
  for (const method of ['onBytes', 'onEnd', 'onMoved', 'onFailed']) {
    const path = method === 'onFailed' ? '/gone' : '/moved';
    const sink = { onBytes() {}, onEnd() {}, onMoved() {}, onFailed({ reason }) { console.log('failed: ' + reason); } };
    sink[method] = () => { throw new TypeError(method + ' of ours'); };
    const connectionsFor = () => client;
    const range = { begin: 0, end: 10, fileBytes: 10, userAgent: 'x', redirectsMax: 2, timeoutMs: 60_000 };
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
    new RangeGet({ ...range, url: new URL(base + path), connectionsFor }, sink).start();
    console.log((await thrown).message);
  }
  process.exit();
`;

test('what a sink throws is thrown, and the server is not blamed for it', async () => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', PROGRAM], { timeout: 120_000 });
  const expected = ['onBytes', 'onEnd', 'onMoved', 'onFailed'].map((method) => `${method} of ours\n`);
  assert.equal(stdout, expected.join(''));
});
