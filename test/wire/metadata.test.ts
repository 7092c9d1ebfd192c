import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../../src/wire/error.js';
import {
  encodeMetadataHead,
  encodeMetadataReject,
  encodeMetadataRequest,
  parseMetadataMessage,
} from '../../src/wire/metadata.js';

const text = (payload: string) => parseMetadataMessage(Buffer.from(payload, 'latin1'));

test('the three messages of BEP 9 are as it writes them', () => {
  assert.equal(encodeMetadataRequest(2).toString(), 'd8:msg_typei0e5:piecei2ee');
  assert.equal(encodeMetadataReject(0).toString(), 'd8:msg_typei2e5:piecei0ee');
  assert.equal(encodeMetadataHead(1, 34256).toString(), 'd8:msg_typei1e5:piecei1e10:total_sizei34256ee');
  assert.deepEqual(text('d8:msg_typei0e5:piecei2ee'), { type: 'request', piece: 2 });
  assert.deepEqual(text('d8:msg_typei2e5:piecei2ee'), { type: 'reject', piece: 2 });
  const data = text('d8:msg_typei1e5:piecei2e10:total_sizei34256eexxde');
  assert.ok(data !== null && !(data instanceof WireError) && data.type === 'data');
  assert.deepEqual([data.piece, data.totalBytes, Buffer.from(data.bytes).toString()], [2, 34256, 'xxde']);
});

test('types that nobody knows are ignored, and what is no message is refused', () => {
  assert.equal(text('d8:msg_typei3e5:piecei0ee'), null);
  assert.equal(text('d8:msg_typei-1ee'), null);
  for (const payload of ['', 'i1e', 'le', 'd', 'd5:piecei0ee', 'd8:msg_type1:05:piecei0ee', 'd8:msg_typei0ee']) {
    assert.ok(text(payload) instanceof WireError, payload);
  }
  assert.ok(text('d8:msg_typei0e5:piecei-1ee') instanceof WireError);
  assert.ok(text(`${'d1:x'.repeat(50)}e`) instanceof WireError);
  assert.ok(text(`d1:x${'l'.repeat(20_000)}`) instanceof WireError);
});

test('whatever the bytes, a message is read, ignored or refused', () => {
  const head = fc.constantFrom('d8:msg_typei1e5:piecei0ee', 'd8:msg_typei0e5:piecei', 'd', '');
  fc.assert(
    fc.property(head, fc.uint8Array({ maxLength: 200 }), (start, tail) => {
      const message = parseMetadataMessage(Buffer.concat([Buffer.from(start), tail]));
      if (message === null || message instanceof WireError) return;
      assert.ok(message.piece >= 0);
      if (message.type === 'data') assert.ok(message.bytes.length <= tail.length + start.length);
    }),
    { numRuns: 2000 },
  );
});
