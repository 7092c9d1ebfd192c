/** Whoever guesses tokens or passkeys is told nothing, and is stopped; others are not. */
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { after, test } from 'node:test';
import { Guesses } from '../../src/depot/http/guesses.js';
import { DEPOT_HTTP_LIMITS } from '../../src/depot/http/limits.js';
import { hashToken, type Token } from '../../src/depot/http/tokens.js';
import { openTestDoor } from './door-harness.js';
import { openPlace } from './doors/depot-place.js';

const { guesses, guessesMs, guessers } = DEPOT_HTTP_LIMITS;
const AGENT = new Agent({ keepAlive: true, maxSockets: 16 });
after(() => AGENT.destroy());
const SECRET = 'right-0123456789abcdef';

/** So many, a few at once. */
async function manyTimes<T>(count: number, once: (k: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  const one = async (): Promise<void> => {
    while (all.length + running < count) {
      running++;
      const done = await once(all.length);
      running--;
      all.push(done);
    }
  };
  let running = 0;
  await Promise.all(Array.from({ length: 16 }, one));
  return all;
}

/** One request from an address of this machine. */
function ask(url: string, localAddress: string, authorization?: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization };
    const asked = request(url, { localAddress, headers, agent: AGENT }, (response) => {
      let text = '';
      response.setEncoding('latin1').on('data', (more: string) => {
        text += more;
      });
      response.on('end', () => resolve({ status: response.statusCode!, text }));
    });
    asked.on('error', reject).end();
  });
}

test('after so many wrong tokens the right one helps nobody there, for a while', async (context) => {
  let nowMs = 0;
  const fixed = { id: 'x', scopes: ['read'] as const, prefix: '', expiresMs: null, note: '', createdMs: 0 };
  const tokens: Token[] = [{ ...fixed, hash: hashToken(SECRET) }];
  const door = { now: () => nowMs, anonymous: 'none' as const };
  const { url } = await openTestDoor(context, { tokens, door });
  const get = async (from: string, secret: string): Promise<number> =>
    (await ask(`${url}/artifacts/`, from, `Bearer ${secret}`)).status;
  const wrong = await manyTimes(guesses, (k) => get('127.0.0.2', `wrong-${k}`));
  assert.deepEqual([...new Set(wrong)], [401]);
  assert.equal(await get('127.0.0.2', 'wrong-again'), 429);
  assert.equal(await get('127.0.0.2', SECRET), 429);
  assert.equal((await ask(`${url}/version`, '127.0.0.2')).status, 200);
  assert.equal(await get('127.0.0.3', SECRET), 200);
  nowMs += guessesMs;
  assert.equal(await get('127.0.0.2', SECRET), 200);
});

test('behind a proxy nobody locks others out: they all come from one address', async (context) => {
  const fixed = { id: 'x', scopes: ['read'] as const, prefix: '', expiresMs: null, note: '', createdMs: 0 };
  const tokens: Token[] = [{ ...fixed, hash: hashToken(SECRET) }];
  const here = await openTestDoor(context, { tokens });
  const named = await openTestDoor(context, { tokens, door: { publicUrl: 'https://depot.example' } });
  for (const [{ url }, from] of [
    [here, '127.0.0.1'],
    [named, '127.0.0.2'],
  ] as const) {
    const wrong = await manyTimes(guesses + 1, () => ask(`${url}/artifacts/`, from, 'Bearer wrong-0123456789'));
    assert.deepEqual([...new Set(wrong.map(({ status }) => status))], [401]);
    assert.equal((await ask(`${url}/artifacts/`, from, `Bearer ${SECRET}`)).status, 200);
  }
});

test('a guessed passkey is a failure that tells nothing, and guessing ends', async (context) => {
  const tokenLines = `${SECRET} read,write`;
  const { url } = await openPlace(context, { tokenLines, anonymous: 'none', torrentFromBytes: 0 });
  const authorization = `Bearer ${SECRET}`;
  const put = await fetch(`${url}/artifacts/a`, { method: 'PUT', body: 'bytes', headers: { authorization } });
  const { magnet, infoHash } = (await put.json()) as { magnet: string; infoHash: string };
  const announceUrl = new URL(magnet).searchParams.get('tr')!;
  const query = (hash: string): string =>
    `?info_hash=${hash.replace(/../g, '%$&')}&peer_id=${'p'.repeat(20)}&port=1&uploaded=0&downloaded=0&left=0`;
  const announce = (at: string, hash: string, from = '127.0.0.2') => ask(`${at}${query(hash)}`, from);
  assert.match((await announce(announceUrl, infoHash)).text, /8:interval/);
  const [, passkey] = /\/([\w-]{32})\/announce$/.exec(announceUrl)!;
  const other = passkey!.startsWith('A') ? 'B' : 'A';
  const near = announceUrl.replace(passkey!, other + passkey!.slice(1));
  const known = await announce(near, infoHash);
  assert.match(known.text, /failure reason/);
  // Of a torrent that is there, one that is not, and a passkey that is nothing like one.
  assert.deepEqual(await announce(near, '0'.repeat(40)), known);
  assert.deepEqual(await announce(announceUrl.replace(passkey!, 'x'), infoHash), known);
  assert.match((await announce(`${url}/announce`, infoHash)).text, /failure reason/);
  const scrape = near.replace('/announce', '/scrape');
  assert.match((await announce(scrape, infoHash)).text, /failure reason/);
  await manyTimes(guesses - 4, () => announce(near, infoHash));
  assert.equal((await announce(near, infoHash)).status, 429);
  assert.equal((await announce(announceUrl, infoHash)).status, 429);
  assert.match((await announce(announceUrl, infoHash, '127.0.0.3')).text, /8:interval/);
});

test('addresses that are counted are bounded, and the latest of them are known', () => {
  let nowMs = 0;
  const counted = new Guesses(() => nowMs);
  for (let k = 0; k < guesses; k++) counted.wrong('first');
  assert.equal(counted.waitSeconds('first'), guessesMs / 1000);
  nowMs += 500;
  assert.equal(counted.waitSeconds('first'), guessesMs / 1000);
  for (let k = 0; k < guessers; k++) counted.wrong(`other ${k}`);
  assert.equal(counted.waitSeconds('first'), null);
  for (let k = 0; k < guesses; k++) counted.wrong('last');
  assert.notEqual(counted.waitSeconds('last'), null);
  nowMs += guessesMs;
  assert.equal(counted.waitSeconds('last'), null);
  counted.wrong('last');
  assert.equal(counted.waitSeconds('last'), null);
});
