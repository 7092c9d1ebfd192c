/** Copies that a publisher asks for: what too few others have does not go for want of space, and the depot says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowOver } from '../../../src/depot/catalogue/row.js';
import { rowOf } from '../catalogue-conformance.js';
import { openPlace } from '../doors/depot-place.js';

interface Told {
  readonly items: readonly { readonly name: string; readonly next: { readonly reason: string; obstacle: unknown } }[];
}

test('who asks for copies has them counted: too few are in the way of a watermark, enough are not', async (context) => {
  const { url } = await openPlace(context, { maxBytes: 2 ** 20, torrentFromBytes: 1000 });
  const put = (name: string, query: string, lengthBytes = 2000): Promise<Response> =>
    fetch(`${url}/artifacts/${name}${query}`, { method: 'PUT', body: Buffer.alloc(lengthBytes, name) });
  const { infoHash } = (await (await put('wanted', '?replicas=2')).json()) as { infoHash: string };
  assert.equal((await put('plain', '')).status, 201);
  // Nobody can tell who has what has no torrent.
  assert.equal((await put('short', '?replicas=2', 10)).status, 201);
  for (const wrong of ['0', '-1', '1001', '1.5', 'x', ''])
    assert.equal((await put('refused', `?replicas=${wrong}`)).status, 400, wrong);
  const obstacles = async (): Promise<Record<string, unknown>> => {
    const told = (await (await fetch(`${url}/artifacts/?order=expiring`)).json()) as Told;
    return Object.fromEntries(told.items.map(({ name, next }) => [name, [next.reason, next.obstacle]]));
  };
  const seed = async (port: number): Promise<void> => {
    const hash = infoHash.replace(/../g, '%$&');
    const query = `?info_hash=${hash}&peer_id=${'p'.repeat(16)}${port}&port=${port}&uploaded=0&downloaded=0&left=0`;
    assert.match(await (await fetch(`${url}/announce${query}`)).text(), /8:interval/);
  };
  const free = ['watermark', null];
  assert.deepEqual(await obstacles(), { wanted: ['watermark', 'replicas'], plain: free, short: free });
  await seed(7001);
  assert.deepEqual((await obstacles()).wanted, ['watermark', 'replicas']);
  await seed(7002);
  assert.deepEqual((await obstacles()).wanted, free);
  // The same bytes again, with another wish.
  assert.equal((await put('wanted', '?replicas=3')).status, 200);
  assert.deepEqual((await obstacles()).wanted, ['watermark', 'replicas']);
});

test('who may only write asks for more copies, and not for fewer', () => {
  const row = (replicas: number | null) => rowOf('a', 'x', { replicas });
  const after = (old: number | null, wish: number | null, onlyAdds: boolean) =>
    rowOver(row(old), row(wish), { overwrite: false, onlyIfNew: false, onlyAdds }).replicas;
  assert.deepEqual([after(3, null, true), after(3, 2, true), after(2, 3, true), after(null, 2, true)], [3, 3, 3, 2]);
  assert.deepEqual([after(3, null, false), after(3, 2, false), after(null, null, true)], [null, 2, null]);
});
