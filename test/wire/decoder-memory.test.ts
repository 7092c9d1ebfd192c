/**
 * What a peer can make the decoder allocate and keep. Every allocation of the decoder goes through
 * `Buffer.allocUnsafeSlow`.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LIMITS } from '../../src/config.js';
import { Decoder } from '../../src/wire/decoder.js';
import { OutBuffer, writeBitfield, writeExtended, writePieceHeader, writeRequest } from '../../src/wire/encoder.js';
import { Recorder } from './recorder.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Watches allocations until the end of the test; also remembers them weakly. */
function watch(t: TestContext): { sizes: number[]; buffers: WeakRef<Buffer>[] } {
  const sizes: number[] = [];
  const buffers: WeakRef<Buffer>[] = [];
  const original = Buffer.allocUnsafeSlow;
  // Not `mock.method`: that keeps every result alive.
  Buffer.allocUnsafeSlow = (size: number) => {
    const buffer = original(size);
    sizes.push(size);
    buffers.push(new WeakRef(buffer));
    return buffer;
  };
  t.after(() => {
    Buffer.allocUnsafeSlow = original;
  });
  return { sizes, buffers };
}

function encoded(write: (out: OutBuffer) => void): Buffer {
  const out = new OutBuffer();
  write(out);
  return out.take();
}

test('an oversize length prefix makes the decoder keep nothing of what follows it', (t) => {
  const source = Buffer.alloc(64 * 1024, 0x7f);
  const { sizes } = watch(t);
  assert.equal(new Decoder(new Recorder()).push(source, 0, source.length), false);
  assert.deepEqual(sizes, []);
});

test('a message that is announced and not sent holds at most twice what arrived', (t) => {
  const bytes = Buffer.alloc(5000, 7);
  bytes.writeUInt32BE(LIMITS.pieceCount / 8 + 1, 0);
  bytes[4] = 5;
  const { sizes } = watch(t);
  const decoder = new Decoder(new Recorder());
  for (let at = 0; at < bytes.length; at++) {
    assert.equal(decoder.push(bytes, at, at + 1), true);
    assert.ok(sizes.at(-1)! <= Math.max(32, 2 * (at + 1)), `${sizes.at(-1)} bytes held for ${at + 1}`);
  }
  assert.ok(sizes.length < 12, 'growth doubles');
});

test('blocks and requests in any split cost one small buffer in all', (t) => {
  const stream = encoded((out) => {
    for (let i = 0; i < 50; i++) {
      writeRequest(out, i, 0, 16384);
      writePieceHeader(out, i, 0, 100);
      out.bytes.fill(i, out.reserve(100));
    }
  });
  const { sizes } = watch(t);
  const decoder = new Decoder(new Recorder());
  for (let at = 0; at < stream.length; at += 7) decoder.push(stream, at, Math.min(at + 7, stream.length));
  assert.equal(decoder.error, null);
  assert.deepEqual(sizes, [32]);
});

test('messages that lie whole in the source are not copied, whatever their size', (t) => {
  const stream = encoded((out) => {
    writeBitfield(out, new Uint8Array(100_000));
    writeExtended(out, 1, new Uint8Array(60_000));
  });
  const { sizes } = watch(t);
  const recorder = new Recorder();
  assert.equal(new Decoder(recorder).push(stream, 0, stream.length), true);
  assert.equal(recorder.events.length, 2);
  assert.deepEqual(sizes, []);
});

test('the memory of a large message is given up when it was delivered, and by stop()', async (t) => {
  const bytes = encoded((out) => writeExtended(out, 1, new Uint8Array(60_000)));
  const { buffers } = watch(t);
  const delivered = new Decoder(new Recorder());
  delivered.push(bytes, 0, 50_000);
  delivered.push(bytes, 50_000, bytes.length);
  const stopped = new Decoder(new Recorder());
  stopped.push(bytes, 0, 50_000);
  stopped.stop();
  assert.ok(buffers.length >= 2);
  // A weak reference holds its target until the turn ends.
  await nextTurn();
  collectGarbage();
  assert.deepEqual(
    buffers.map((buffer) => buffer.deref()?.length).filter((length) => length !== undefined),
    [],
  );
  assert.deepEqual([delivered.error, stopped.error], [null, null]);
});
