/** Results of actions at a depot: one whose outputs are gone is gone, too, and outputs are used with it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ArtifactRow } from '../../../src/depot/catalogue/port.js';
import { filesOfTree, outputsOf } from '../../../src/depot/doors/action-result.js';
import { hasOutputs } from '../../../src/depot/http/action-check.js';
import { makeRandom } from '../../../src/random.js';
import { agentOf, bytesOf, depotOf, folderOf, get, sha256 } from '../agent-harness.js';

/** A field of bytes in protocol buffers, or of a number. */
function field(number: number, value: Uint8Array | string | number): Buffer {
  if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Buffer.from([...bytes, left]);
    bytes.push((left % 128) + 128);
  }
}

const digest = (bytes: Uint8Array): Buffer => Buffer.concat([field(1, sha256(bytes)), field(2, bytes.length)]);
const file = (bytes: Uint8Array, ...more: Buffer[]): Buffer =>
  field(2, Buffer.concat([field(1, 'out/name'), field(2, digest(bytes)), ...more]));

const [OUT, STDERR, IN_FOLDER, BELOW, INLINE] = [300_000, 40, 50, 60, 70].map(bytesOf) as Buffer[];
const node = (bytes: Uint8Array): Buffer => field(1, Buffer.concat([field(1, 'name'), field(2, digest(bytes))]));
const TREE = Buffer.concat([field(1, node(IN_FOLDER!)), field(2, node(BELOW!))]);
const RESULT = Buffer.concat([
  file(OUT!, field(4, 1)),
  file(INLINE!, field(5, INLINE!)),
  file(Buffer.alloc(0)),
  field(3, Buffer.concat([field(1, 'out/folder'), field(3, digest(TREE))])),
  field(4, 0),
  field(8, digest(STDERR!)),
  field(9, Buffer.concat([field(1, 'worker')])),
]);
const NEEDED = [OUT!, STDERR!, IN_FOLDER!, BELOW!, TREE];

test('the result of an action is there as long as all that it names is, at a depot and through an agent', async (t) => {
  const folder = await folderOf(t);
  const depot = await depotOf(t, join(folder, 'data'));
  const { agent } = await agentOf(t, depot.url, join(folder, 'cache'));
  const put = async (path: string, body: Uint8Array): Promise<void> => {
    assert.ok((await fetch(`${depot.url}/${path}`, { method: 'PUT', body })).ok);
  };
  const drop = (path: string): Promise<Response> => fetch(`${depot.url}/${path}`, { method: 'DELETE' });
  for (const bytes of NEEDED) await put(`cas/${sha256(bytes)}`, bytes);
  const key = sha256(Buffer.from('command and inputs'));
  await put(`ac/${key}`, RESULT);
  assert.deepEqual((await get(agent.url, `ac/${key}`)).bytes, RESULT);
  for (const bytes of NEEDED) {
    assert.deepEqual((await get(depot.url, `ac/${key}`)).bytes, RESULT);
    await drop(`cas/${sha256(bytes)}`);
    assert.equal((await get(depot.url, `ac/${key}`)).status, 404);
    assert.equal((await fetch(`${depot.url}/ac/${key}`, { method: 'HEAD' })).status, 404);
    // Put again it is whole again: nothing was removed.
    await put(`cas/${sha256(bytes)}`, bytes);
  }
  await drop(`cas/${sha256(OUT!)}`);
  // A name is asked for by itself: what the agent believes of this one is a second old at most.
  const other = sha256(Buffer.from('other inputs'));
  await put(`ac/${other}`, RESULT);
  assert.equal((await get(agent.url, `ac/${other}`)).status, 404);
});

test('who may only write replaces a result whose outputs are gone, and no other', async (t) => {
  const [writer, admin] = ['w', 'a'].map((letter) => letter.repeat(43));
  const tokenLines = `${writer} read,write\n${admin} admin`;
  const depot = await depotOf(t, join(await folderOf(t), 'data'), { tokenLines, anonymous: 'none' });
  const ask = (token: string, method: string, path: string, body?: Uint8Array): Promise<Response> =>
    fetch(`${depot.url}/${path}`, { method, headers: { authorization: `Bearer ${token}` }, ...(body && { body }) });
  const key = `ac/${sha256(Buffer.from('inputs'))}`;
  const [first, second] = [OUT!, STDERR!].map((bytes) => file(bytes));
  for (const bytes of [OUT!, STDERR!]) await ask(writer!, 'PUT', `cas/${sha256(bytes)}`, bytes);
  const held = async (): Promise<Buffer> => Buffer.from(await (await ask(writer!, 'GET', key)).arrayBuffer());
  await ask(writer!, 'PUT', key, first!);
  assert.equal((await ask(writer!, 'PUT', key, second!)).status, 200);
  assert.deepEqual(await held(), first);
  await ask(admin!, 'DELETE', `cas/${sha256(OUT!)}`);
  assert.equal((await ask(writer!, 'PUT', key, second!)).status, 201);
  assert.deepEqual(await held(), second);
});

test('what others keep under a key is none of our business, and no bytes are too bad to be looked at', () => {
  assert.deepEqual(outputsOf(RESULT)?.files, [OUT!, STDERR!].map(said));
  assert.deepEqual(outputsOf(RESULT)?.trees, [said(TREE)]);
  assert.deepEqual(filesOfTree(TREE), [IN_FOLDER!, BELOW!].map(said));
  const sha1 = field(2, field(2, Buffer.concat([field(1, 'a'.repeat(40)), field(2, 3)])));
  for (const bytes of [Buffer.alloc(0), Buffer.from('cCrS\0\0\x01'), sha1, field(40, 'x'), RESULT.subarray(0, -1)])
    assert.equal(outputsOf(bytes), null);
  const random = makeRandom(20_261_129);
  for (let count = 0; count < 3_000; count++) {
    const bytes =
      count % 3 === 0
        ? Buffer.from(Array.from({ length: count % 60 }, () => Math.floor(random() * 256)))
        : Buffer.from(count % 2 === 0 ? RESULT : TREE);
    for (let left = count % 4; left > 0; left--)
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    for (const { sha256: named } of [...(outputsOf(bytes)?.files ?? []), ...(filesOfTree(bytes) ?? [])])
      assert.match(named, /^[0-9a-f]{64}$/);
  }
});

test('of a result that names very much, or the same again and again, not all is looked at', async () => {
  const looked: string[] = [];
  let readBytes = 0;
  const check = (result: Buffer, treeBytes = 0): Promise<boolean> => {
    looked.length = readBytes = 0;
    const find = async (name: string): Promise<ArtifactRow> => {
      looked.push(name);
      return { name, lengthBytes: treeBytes || 6 } as ArtifactRow;
    };
    const read = async function* ({ name, lengthBytes }: ArtifactRow): AsyncGenerator<Uint8Array> {
      readBytes += lengthBytes;
      yield name.startsWith('ac/') ? result : Buffer.alloc(0);
    };
    return hasOutputs({ name: 'ac/x', lengthBytes: result.length } as ArtifactRow, { depository: { find, read } });
  };
  const named = Array.from({ length: 6_000 }, (_, index) => file(Buffer.from(String(index).padStart(6))));
  assert.equal(await check(Buffer.concat(named)), true);
  assert.equal(looked.length, 5_000);
  assert.equal(await check(Buffer.concat(Array.from({ length: 6_000 }, () => named[0]!))), true);
  assert.equal(looked.length, 1);
  const lengthBytes = 1024 * 1024;
  const trees = Array.from({ length: 50 }, (_, index) => {
    const digestOfTree = Buffer.concat([field(1, sha256(Buffer.from(`${index}`))), field(2, lengthBytes)]);
    return field(3, field(3, digestOfTree));
  });
  await check(Buffer.concat(trees), lengthBytes);
  assert.ok(readBytes > 3 * lengthBytes && readBytes < 4 * lengthBytes, `${readBytes}`);
});

function said(bytes: Uint8Array): { sha256: string; lengthBytes: number } {
  return { sha256: sha256(bytes), lengthBytes: bytes.length };
}
