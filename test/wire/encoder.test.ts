import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutBuffer, writeBitfield, writeHave, writeRequest } from '../../src/wire/encoder.js';

test('taken bytes stay as they are while more is written', () => {
  const out = new OutBuffer();
  const taken: Buffer[] = [];
  for (let i = 0; i < 2000; i++) {
    writeHave(out, i);
    assert.equal(out.length, 9);
    taken.push(out.take());
    assert.equal(out.length, 0);
  }
  taken.forEach((bytes, i) => {
    assert.equal(bytes.length, 9);
    assert.equal(bytes.readUInt32BE(5), i);
  });
});

test('a run longer than a slab comes out whole and in order', () => {
  const out = new OutBuffer();
  for (let i = 0; i < 3000; i++) writeRequest(out, i, 0, 16384);
  const bits = Buffer.alloc(100_000, 0xa5);
  writeBitfield(out, bits);
  const bytes = out.take();
  assert.equal(bytes.length, 3000 * 17 + 5 + bits.length);
  for (let i = 0; i < 3000; i++) assert.equal(bytes.readUInt32BE(i * 17 + 5), i);
  assert.deepEqual(bytes.subarray(3000 * 17 + 5), bits);
});

test('nothing written gives an empty take, and clear forgets only what was not taken', () => {
  const out = new OutBuffer();
  assert.equal(out.take().length, 0);
  writeHave(out, 1);
  const first = out.take();
  writeHave(out, 2);
  out.clear();
  assert.equal(out.take().length, 0);
  writeHave(out, 3);
  assert.equal(out.take().readUInt32BE(5), 3);
  assert.equal(first.readUInt32BE(5), 1);
});

test('a large message does not leave a large slab behind', () => {
  const out = new OutBuffer();
  writeBitfield(out, new Uint8Array(200_000));
  out.take();
  writeHave(out, 1);
  assert.ok(out.bytes.length < 10_000);
});
