/** The limits of a depot and an agent hold by HTTP, too: no transfer is quicker than they permit. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { Answers } from '../../src/depot/http/answers.js';
import { DEPOT_HTTP_LIMITS } from '../../src/depot/http/limits.js';
import { agentOf, bytesOf, depotOf, folderOf, get, put, sha256 } from './agent-harness.js';

const RATE = 1_000_000;
/** A tenth of a second is kept, and what is read at once last is waited for by nobody. */
const LEAST_MS = 900;
const BYTES = bytesOf(1_500_000);

test('a depot sends no faster than its limit', async (context) => {
  const engine = { port: 0, uploadBytesPerSec: RATE };
  const depot = await depotOf(context, join(await folderOf(context), 'depot'), { engine });
  await put(depot.url, 'a', BYTES);
  const beganMs = performance.now();
  assert.equal(sha256((await get(depot.url, 'artifacts/a')).bytes), sha256(BYTES));
  const tookMs = performance.now() - beganMs;
  assert.ok(tookMs >= LEAST_MS, `${tookMs} ms`);
});

test('an agent fetches no faster than its limit: short blobs, and the begin of long ones', async (context) => {
  const folder = await folderOf(context);
  const depot = await depotOf(context, join(folder, 'depot'), { torrentFromBytes: 2 * BYTES.length });
  const long = bytesOf(2 * BYTES.length);
  await put(depot.url, 'short', BYTES);
  await put(depot.url, 'long', long);
  const more = { engine: { port: 0, downloadBytesPerSec: RATE } };
  const { agent } = await agentOf(context, depot.url, join(folder, 'cache'), more);
  for (const [name, bytes, least] of [
    ['short', BYTES, LEAST_MS],
    ['long', long, 1500],
  ] as const) {
    const beganMs = performance.now();
    assert.equal(sha256((await get(agent.url, `artifacts/${name}`)).bytes), sha256(bytes));
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs >= least, `${name}: ${tookMs} ms`);
  }
});

test('an answer that the limit holds is not slow, and gives its place back when nobody waits for it any more', {
  timeout: 20_000,
}, async (context) => {
  let nowMs = 0;
  const held: (() => void)[] = [];
  const gate = new EventEmitter();
  const ask = (_: number, allowed: () => void): boolean => {
    setImmediate(() => gate.emit('held'));
    held.push(allowed);
    return false;
  };
  let ended = 0;
  const end = (): void => void ended++;
  const answers = new Answers(() => nowMs, {
    readBytes: 1000,
    pass: () => null,
    of: () => ({ readBytes: 1000, ask, end }),
  });
  const lengthBytes = 2000;
  const slices = { lengthBytes, open: () => Readable.from([Buffer.alloc(1000, 'a'), Buffer.alloc(1000, 'b')]) };
  let sent = Promise.resolve();
  const server = createServer((_, response) => {
    sent = answers.send(response, slices, 'a', () => response.writeHead(200, { 'content-length': lengthBytes }));
  });
  context.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const first = fetch(url);
  await once(gate, 'held');
  nowMs += 2 * DEPOT_HTTP_LIMITS.answerIdleMs;
  answers.tick();
  held.pop()!();
  await once(gate, 'held');
  held.pop()!();
  assert.equal(await (await first).text(), `${'a'.repeat(1000)}${'b'.repeat(1000)}`);
  await sent;
  const leaving = new AbortController();
  const second = fetch(url, { signal: leaving.signal });
  await once(gate, 'held');
  leaving.abort();
  await assert.rejects(second.then((answer) => answer.text()));
  await sent;
  assert.equal(answers.count, 0);
  assert.equal(held.length, 1, 'the limit has not let it go');
  assert.equal(ended, 2, 'and need not any more');
});
