/** What a depot believes of those that call themselves depots of its store. */
import assert from 'node:assert/strict';
import http, { type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openScope, type Scope } from '../../../lab/scope.js';
import { until, withDeadline } from '../../../lab/wait.js';
import { isProof, Proofs } from '../../../src/depot/siblings/proofs.js';
import { PROOF_HEADER, pathOf, Siblings } from '../../../src/depot/siblings/siblings.js';
import type { BlobPart } from '../../../src/depot/store/port.js';

const SECRET = Buffer.alloc(32, 7);
const PROOFS = new Proofs(SECRET, 'store');
const ID = 'a'.repeat(32);
const OWN_ID = 'b'.repeat(32);
const BYTES = Buffer.from('bytes of the blob');
const DEADLINE_MS = 20_000;
/** What is waited for is not long, all else is. */
const TIMES = { silenceMs: 2_000, waitMs: 60_000, awayMs: 60_000 };
const SIGN_MS = 100;

type Answer = (response: ServerResponse) => void;

interface Fake {
  readonly url: string;
  /** Paths behind "hello", with the proofs that came with them. */
  readonly asked: { readonly path: string; readonly proof: string }[];
}

async function startFake(scope: Scope, answer: Answer, proofs = PROOFS, id = ID): Promise<Fake> {
  const asked: Fake['asked'] = [];
  const listener: RequestListener = ({ url = '', headers }, response) => {
    const nonce = /^\/siblings\/hello\?nonce=(\w+)$/.exec(url)?.[1];
    if (nonce !== undefined) {
      response.end(JSON.stringify({ id, proof: proofs.hello(nonce, id) }));
      return;
    }
    asked.push({ path: url, proof: String(headers[PROOF_HEADER]) });
    answer(response);
  };
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function open(t: TestContext, urls: readonly string[], log: string[] = []): Siblings {
  const note = (_level: string, message: string): void => void log.push(message);
  const parts = { id: OWN_ID, proofs: PROOFS, now: () => performance.now(), log: note, times: TIMES };
  const siblings = new Siblings({ urls, ...parts });
  t.after(() => siblings.close());
  siblings.start();
  return siblings;
}

/** One that the other depot has to bring. */
async function foreignPart(siblings: Siblings): Promise<BlobPart> {
  await until('the other is known', DEADLINE_MS, () => siblings.count === 1);
  for (let k = 0; ; k++) {
    const part = { sha256: k.toString(16).padStart(64, '0'), begin: 0, end: BYTES.length };
    if (!(await siblings.isOurs(part))) return part;
  }
}

const isGood = async (bytes: Buffer): Promise<boolean> => bytes.equals(BYTES);

async function bring(siblings: Siblings, part: BlobPart): Promise<Buffer | null> {
  const into = Buffer.alloc(BYTES.length);
  const bringing = siblings.bring(part, true, into, isGood);
  return (await withDeadline(bringing, 'an answer', DEADLINE_MS)) ? into : null;
}

test('a depot of the store is asked, with a proof for it and these bytes alone', async (t) => {
  const fake = await startFake(openScope(t), (response) => response.end(BYTES));
  const siblings = open(t, [fake.url]);
  const part = await foreignPart(siblings);
  assert.deepEqual(await bring(siblings, part), BYTES);
  assert.equal(siblings.count, 1);
  const [{ path, proof }] = fake.asked as [{ path: string; proof: string }];
  assert.equal(path, pathOf(part, true));
  assert.ok(isProof(proof, PROOFS.question(ID, path)));
  assert.ok(!isProof(proof, PROOFS.question(OWN_ID, path)));
  assert.ok(!isProof(proof, PROOFS.question(ID, pathOf(part, false))));
});

test('who waits for S3 and says so is waited for, past the time of silence', async (t) => {
  const fake = await startFake(openScope(t), (response) => {
    let signs = 0;
    const timer = setInterval(() => {
      if (++signs * SIGN_MS <= 1.5 * TIMES.silenceMs) return response.writeProcessing();
      clearInterval(timer);
      return response.end(BYTES);
    }, SIGN_MS);
  });
  const siblings = open(t, [fake.url]);
  assert.deepEqual(await bring(siblings, await foreignPart(siblings)), BYTES);
});

const BAD: Readonly<Record<string, Answer>> = {
  'is silent': () => {},
  'is silent half way': (response) => {
    response.writeHead(200, { 'content-length': BYTES.length });
    response.write(BYTES.subarray(0, 5));
  },
  'ends half way': (response) => {
    response.writeHead(200, { 'content-length': BYTES.length });
    response.write(BYTES.subarray(0, 5), () => response.destroy());
  },
  'gives too little': (response) => response.end(BYTES.subarray(1)),
  'gives too much': (response) => response.end(Buffer.alloc(100_000)),
  'goes on for ever behind a refusal': (response) => {
    response.writeHead(404);
    response.write(Buffer.alloc(100_000));
  },
};

for (const [what, answer] of Object.entries(BAD)) {
  test(`one that ${what} is not waited for, and is left alone for a while`, async (t) => {
    const fake = await startFake(openScope(t), answer);
    const siblings = open(t, [fake.url]);
    const part = await foreignPart(siblings);
    assert.equal(await bring(siblings, part), null);
    const asked = fake.asked.length;
    assert.equal(await siblings.isOurs(part), true);
    assert.equal(await bring(siblings, part), null);
    assert.equal(fake.asked.length, asked);
  });
}

test('one that says it cannot is not taken for one that is away, and does not lead elsewhere', async (t) => {
  const scope = openScope(t);
  const stranger = await startFake(scope, (response) => response.end(BYTES));
  for (const [status, headers] of [
    [404, {}],
    [503, {}],
    [307, { location: `${stranger.url}/siblings` }],
  ] as const) {
    const fake = await startFake(scope, (response) => response.writeHead(status, headers).end('no'));
    const siblings = open(t, [fake.url]);
    assert.equal(await bring(siblings, await foreignPart(siblings)), null);
    assert.equal(siblings.count, 1, String(status));
  }
  assert.equal(stranger.asked.length, 0);
});

test('one that lies is told of, and is not asked again', async (t) => {
  const fake = await startFake(openScope(t), (response) => response.end(Buffer.alloc(BYTES.length)));
  const log: string[] = [];
  const siblings = open(t, [fake.url], log);
  const part = await foreignPart(siblings);
  assert.equal(await bring(siblings, part), null);
  assert.equal(siblings.lies, 1);
  assert.match(log.join('\n'), new RegExp(`${new URL(fake.url).host} gave wrong bytes`));
  assert.equal(siblings.count, 0);
  assert.equal(await bring(siblings, part), null);
  assert.equal(fake.asked.length, 1);
});

test('a stranger is asked for nothing, and sees nothing that the secret made', async (t) => {
  const scope = openScope(t);
  const others = [new Proofs(Buffer.alloc(32, 8), 'store'), new Proofs(SECRET, 'another store')];
  for (const proofs of others) {
    const fake = await startFake(scope, (response) => response.end(BYTES), proofs);
    const siblings = open(t, [fake.url]);
    const part = { sha256: '0'.repeat(64), begin: 0, end: BYTES.length };
    assert.equal(await siblings.isOurs(part), true);
    assert.equal(await bring(siblings, part), null);
    assert.deepEqual(fake.asked, []);
    assert.deepEqual([siblings.count, siblings.missing], [0, 1]);
  }
  // It may say anything at all.
  for (const said of ['', '{', 'null', '{"id":1}', `{"id":"${ID}"}`, `{"id":"${ID}","proof":{}}`, 'x'.repeat(10_000)]) {
    const server = http.createServer((_request, response) => response.end(said));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    scope.defer(() => void server.close());
    const siblings = open(t, [`http://127.0.0.1:${(server.address() as AddressInfo).port}`]);
    assert.equal(await siblings.isOurs({ sha256: '0'.repeat(64), begin: 0, end: 1 }), true);
    assert.equal(siblings.count, 0);
  }
});

test('its own address, and two of one depot, are not others', async (t) => {
  const scope = openScope(t);
  const self = await startFake(scope, (response) => response.end(BYTES), PROOFS, OWN_ID);
  const one = await startFake(scope, (response) => response.end(BYTES));
  const again = await startFake(scope, (response) => response.end(BYTES));
  const siblings = open(t, [self.url, one.url, again.url]);
  await until('they are known', DEADLINE_MS, () => siblings.missing === 0);
  assert.equal(siblings.count, 1);
  for (let k = 0; k < 20; k++)
    await bring(siblings, { sha256: k.toString(16).padStart(64, '0'), begin: 0, end: BYTES.length });
  assert.equal(self.asked.length, 0);
});
