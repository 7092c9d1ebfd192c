import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../src/config.js';
import { Decoder } from '../../src/wire/decoder.js';
import * as wire from '../../src/wire/encoder.js';
import type { WireLimits } from '../../src/wire/messages.js';
import { Recorder } from './recorder.js';

const { OutBuffer } = wire;

interface Run {
  readonly recorder: Recorder;
  readonly decoder: Decoder;
  readonly isGood: boolean;
}

/** Pushes `bytes` cut at the given positions, each part from a buffer of its own that is overwritten afterwards. */
function run(bytes: Uint8Array, cuts: readonly number[] = [], limits?: Partial<WireLimits>): Run {
  const recorder = new Recorder();
  const decoder = new Decoder(recorder, limits);
  const borders = [0, ...cuts.filter((cut) => cut <= bytes.length).sort((a, b) => a - b), bytes.length];
  let isGood = true;
  for (let i = 1; i < borders.length; i++) {
    const margin = i % 3;
    const part = bytes.subarray(borders[i - 1]!, borders[i]!);
    const source = Buffer.alloc(part.length + 2 * margin, 0xee);
    source.set(part, margin);
    isGood = decoder.push(source, margin, margin + part.length);
    source.fill(0xdd);
  }
  return { recorder, decoder, isGood };
}

const everyByte = (bytes: Uint8Array): number[] => Array.from(bytes, (_, i) => i);

function prefix(length: number, id: number, ...rest: number[]): Buffer {
  const bytes = Buffer.alloc(5 + rest.length);
  bytes.writeUInt32BE(length, 0);
  bytes[4] = id;
  bytes.set(rest, 5);
  return bytes;
}

type Writer = (out: wire.OutBuffer) => void;

/** A message as the encoder is asked for it, and the events the decoder must give for it. */
interface Message {
  readonly write: Writer;
  readonly events: readonly string[];
}

const bare = (event: string, write: Writer): Message => ({ write, events: [event] });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function raw(out: wire.OutBuffer, bytes: Uint8Array): void {
  const at = out.reserve(bytes.length);
  out.bytes.set(bytes, at);
}

function indexed(name: string, write: (out: wire.OutBuffer, piece: number) => void, piece: number): Message {
  return bare(`${name} ${piece}`, (out) => write(out, piece));
}

function ranged(name: string, write: typeof wire.writeRequest, [piece, begin, length]: Range): Message {
  return bare(`${name} ${piece} ${begin} ${length}`, (out) => write(out, piece, begin, length));
}

type Range = [piece: number, begin: number, length: number];

function block(piece: number, begin: number, payload: Uint8Array): Message {
  return {
    write: (out) => {
      wire.writePieceHeader(out, piece, begin, payload.length);
      raw(out, payload);
    },
    events: [`block ${piece} ${begin} ${payload.length}`, `block end ${hex(payload)}`],
  };
}

function extended(id: number, payload: Uint8Array): Message {
  return bare(`extended ${id} ${hex(payload)}`, (out) => wire.writeExtended(out, id, payload));
}

function bitfield(bits: Uint8Array): Message {
  return bare(`bitfield ${hex(bits)}`, (out) => wire.writeBitfield(out, bits));
}

function unknown(id: number, body: Uint8Array): Message {
  return { write: (out) => raw(out, Buffer.concat([prefix(1 + body.length, id), body])), events: [] };
}

const PLAIN: readonly Message[] = [
  bare('keep-alive', wire.writeKeepAlive),
  bare('choke', wire.writeChoke),
  bare('unchoke', wire.writeUnchoke),
  bare('interested', wire.writeInterested),
  bare('not interested', wire.writeNotInterested),
  bare('have all', wire.writeHaveAll),
  bare('have none', wire.writeHaveNone),
];

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const range: fc.Arbitrary<Range> = fc.tuple(u32, u32, u32);
const payload = fc.uint8Array({ minLength: 1, maxLength: 100 });
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.constantFrom(...PLAIN),
  u32.map((piece) => indexed('have', wire.writeHave, piece)),
  u32.map((piece) => indexed('suggest', wire.writeSuggest, piece)),
  u32.map((piece) => indexed('allowed fast', wire.writeAllowedFast, piece)),
  range.map((fields) => ranged('request', wire.writeRequest, fields)),
  range.map((fields) => ranged('cancel', wire.writeCancel, fields)),
  range.map((fields) => ranged('reject', wire.writeReject, fields)),
  fc.integer({ min: 0, max: 65535 }).map((port) => bare(`port ${port}`, (out) => wire.writePort(out, port))),
  fc.tuple(u32, u32, payload).map(([piece, begin, bytes]) => block(piece, begin, bytes)),
  fc.uint8Array({ maxLength: 100 }).map(bitfield),
  fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 100 })).map(([id, bytes]) => extended(id, bytes)),
  fc.tuple(fc.constantFrom(10, 18, 21, 23, 255), fc.uint8Array({ maxLength: 100 })).map(([id, b]) => unknown(id, b)),
);
const cuts = fc.array(fc.nat(1500), { maxLength: 40 });

function encode(messages: readonly Message[]): Buffer {
  const out = new OutBuffer();
  for (const { write } of messages) write(out);
  return out.take();
}

const ONE_OF_EACH: readonly Message[] = [
  ...PLAIN,
  indexed('have', wire.writeHave, 0xfffffffe),
  bitfield(Uint8Array.of(0xff, 0x80)),
  ranged('request', wire.writeRequest, [1, 16384, 16384]),
  block(3, 32768, Uint8Array.of(1, 2, 3, 4, 5)),
  ranged('cancel', wire.writeCancel, [0xffffffff, 0x80000000, 0x7fffffff]),
  bare('port 6881', (out) => wire.writePort(out, 6881)),
  indexed('suggest', wire.writeSuggest, 7),
  ranged('reject', wire.writeReject, [5, 6, 7]),
  indexed('allowed fast', wire.writeAllowedFast, 8),
  extended(0, Buffer.from('de')),
  extended(255, new Uint8Array(0)),
];

test('every message comes out of the decoder as it went into the encoder', () => {
  for (const { write, events } of ONE_OF_EACH) {
    const { recorder, isGood } = run(encode([{ write, events }]));
    assert.deepEqual(recorder.events, events);
    assert.equal(isGood, true);
  }
});

test('the encoder writes the bytes that BEP 3, 5, 6 and 10 show', () => {
  const bytes = (write: Writer): string => hex(encode([{ write, events: [] }]));
  assert.equal(bytes(wire.writeKeepAlive), '00000000');
  assert.equal(bytes(wire.writeChoke), '0000000100');
  assert.equal(bytes(wire.writeUnchoke), '0000000101');
  assert.equal(bytes(wire.writeInterested), '0000000102');
  assert.equal(bytes(wire.writeNotInterested), '0000000103');
  assert.equal(
    bytes((out) => wire.writeHave(out, 0x01020304)),
    '000000050401020304',
  );
  assert.equal(
    bytes((out) => wire.writeBitfield(out, Uint8Array.of(0xf0))),
    '0000000205f0',
  );
  assert.equal(
    bytes((out) => wire.writeRequest(out, 1, 2, 3)),
    '0000000d06000000010000000200000003',
  );
  assert.equal(
    bytes((out) => wire.writePieceHeader(out, 1, 2, 16384)),
    '00004009070000000100000002',
  );
  assert.equal(
    bytes((out) => wire.writeCancel(out, 1, 2, 3)),
    '0000000d08000000010000000200000003',
  );
  assert.equal(
    bytes((out) => wire.writePort(out, 0x1ae1)),
    '00000003091ae1',
  );
  assert.equal(
    bytes((out) => wire.writeSuggest(out, 9)),
    '000000050d00000009',
  );
  assert.equal(bytes(wire.writeHaveAll), '000000010e');
  assert.equal(bytes(wire.writeHaveNone), '000000010f');
  assert.equal(
    bytes((out) => wire.writeReject(out, 1, 2, 3)),
    '0000000d10000000010000000200000003',
  );
  assert.equal(
    bytes((out) => wire.writeAllowedFast(out, 9)),
    '000000051100000009',
  );
  assert.equal(
    bytes((out) => wire.writeExtended(out, 3, Uint8Array.of(0x64, 0x65))),
    '0000000414036465',
  );
});

test('one byte at a time gives the same events as one push', () => {
  const bytes = encode(ONE_OF_EACH);
  const { recorder, isGood } = run(bytes, everyByte(bytes));
  assert.deepEqual(
    recorder.events,
    ONE_OF_EACH.flatMap(({ events }) => events),
  );
  assert.equal(isGood, true);
});

test('any messages in any split give the events that were encoded', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 20 }), cuts, (messages, positions) => {
      const { recorder, isGood, decoder } = run(encode(messages), positions);
      assert.deepEqual(
        recorder.events,
        messages.flatMap(({ events }) => events),
      );
      assert.equal(isGood, true);
      assert.equal(decoder.error, null);
    }),
    { numRuns: 500 },
  );
});

test('garbage never throws, and gives the same events and error in any split', () => {
  const small: Partial<WireLimits> = { messageBytes: 64, requestBytes: 16, bitfieldBytes: 8, extendedBytes: 32 };
  // Small length prefixes reach deeper than uniform bytes would.
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(fc.nat(70), fc.nat(24)).map(([length, id]) => prefix(length, id)),
    message.map((one) => encode([one])),
  );
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 12 }), cuts, (chunks, positions) => {
      const bytes = Buffer.concat(chunks);
      const whole = run(bytes, [], small);
      const split = run(bytes, positions, small);
      assert.equal(split.isGood, whole.isGood);
      assert.deepEqual(split.decoder.error, whole.decoder.error);
      assert.equal(whole.decoder.error === null, whole.isGood);
      // An unfinished block is not in the events; everything before it must be.
      assert.deepEqual(split.recorder.events, whole.recorder.events);
    }),
    { numRuns: 1000 },
  );
});

test('the payload of a block comes in order straight from the pushed buffers', () => {
  const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 0xff));
  const stream = encode([block(1, 2, bytes)]);
  const recorder = new Recorder();
  const decoder = new Decoder(recorder);
  const sources: Buffer[] = [];
  for (const [start, end] of [
    [0, 7],
    [7, 14],
    [14, 500],
    [500, 1013],
  ] as const) {
    const source = Buffer.from(stream.subarray(start, end));
    sources.push(source);
    decoder.push(source, 0, source.length);
  }
  assert.deepEqual(recorder.events, ['block 1 2 1000', `block end ${hex(bytes)}`]);
  assert.deepEqual([...recorder.sources], sources.slice(1));
});

test('a header is announced before any payload has arrived', () => {
  const { recorder } = run(encode([block(9, 16384, new Uint8Array(16384))]).subarray(0, 13));
  assert.deepEqual(recorder.events, ['block 9 16384 16384']);
});

const WRONG_SIZES: readonly [length: number, id: number, reason: RegExp][] = [
  [2, 0, /^choke has a body of 2 bytes, must be 1$/],
  [5, 1, /^unchoke /],
  [2, 2, /^interested /],
  [2, 3, /^not interested /],
  [4, 4, /^have has a body of 4 bytes, must be 5$/],
  [262_146, 5, /^bitfield has a body of 262146 bytes, must be 1 to 262145$/],
  [12, 6, /^request has a body of 12 bytes, must be 13$/],
  [14, 6, /^request /],
  [9, 7, /^piece has a body of 9 bytes, must be 10 to 262153$/],
  [1, 7, /^piece /],
  [262_154, 7, /^piece has a body of 262154 bytes/],
  [1, 8, /^cancel /],
  [1, 9, /^port has a body of 1 bytes, must be 3$/],
  [6, 0x0d, /^suggest /],
  [2, 0x0e, /^have all /],
  [2, 0x0f, /^have none /],
  [5, 0x10, /^reject /],
  [13, 0x11, /^allowed fast /],
  [1, 20, /^extended has a body of 1 bytes, must be 2 to 65536$/],
  [65_537, 20, /^extended /],
];

test('a length that does not fit the id is refused as soon as both are known, naming the message', () => {
  for (const [length, id, reason] of WRONG_SIZES) {
    const bytes = prefix(length, id);
    for (const positions of [[], everyByte(bytes)]) {
      const { recorder, decoder, isGood } = run(bytes, positions);
      assert.equal(isGood, false, `id ${id}`);
      assert.equal(decoder.error?.code, 'WRONG_SIZE');
      assert.match(decoder.error.reason, reason);
      assert.deepEqual(recorder.events, []);
    }
  }
});

test('sizes at the edge are accepted', () => {
  const most = new Uint8Array(LIMITS.runBytes);
  const messages = [block(0, 0, most), block(0, 0, Uint8Array.of(1)), bitfield(new Uint8Array(LIMITS.pieceCount / 8))];
  messages.push(extended(1, new Uint8Array(LIMITS.extendedHandshakeBytes - 2)));
  messages.push(unknown(200, new Uint8Array(LIMITS.messageBytes - 1)));
  messages.push(bare('choke', wire.writeChoke));
  const { recorder, isGood } = run(encode(messages), [100_000, 100_001, 300_000, 1_000_000]);
  assert.equal(isGood, true);
  assert.deepEqual(
    recorder.events,
    messages.flatMap(({ events }) => events),
  );
});

test('a bitfield limit lowered to the torrent refuses a longer one', () => {
  const { decoder } = run(prefix(4, 5), [], { bitfieldBytes: 2 });
  assert.equal(decoder.error?.reason, 'bitfield has a body of 4 bytes, must be 1 to 3');
});

test('an oversize length prefix is refused after four bytes', () => {
  const { decoder, isGood } = run(Buffer.from([0x7f, 0xff, 0xff, 0xff]));
  assert.equal(isGood, false);
  assert.equal(decoder.error?.code, 'MESSAGE_TOO_LONG');
  assert.equal(decoder.error.reason, 'message of 2147483647 bytes, the limit is 1048576');
  assert.equal(run(Buffer.from([0, 0x10, 0, 1])).isGood, false);
  assert.equal(run(Buffer.from([0, 0x10, 0, 0])).isGood, true);
});

test('a large message in small pushes arrives whole', () => {
  const bits = Buffer.alloc(100_000);
  for (let i = 0; i < bits.length; i++) bits[i] = i % 251;
  const bytes = encode([bitfield(bits), PLAIN[1]!]);
  const positions = Array.from({ length: Math.floor(bytes.length / 37) }, (_, i) => i * 37);
  assert.deepEqual(run(bytes, positions).recorder.events, [`bitfield ${hex(bits)}`, 'choke']);
});

test('bodies of unknown messages are skipped, also when they look like messages', () => {
  const inner = encode([ranged('request', wire.writeRequest, [1, 2, 3])]);
  const messages = [unknown(99, inner), unknown(99, new Uint8Array(0)), PLAIN[2]!];
  const bytes = encode(messages);
  assert.deepEqual(run(bytes).recorder.events, ['unchoke']);
  assert.deepEqual(run(bytes, everyByte(bytes)).recorder.events, ['unchoke']);
});

test('after stop() in any callback nothing more is delivered', () => {
  const bytes = encode(ONE_OF_EACH);
  const total = run(bytes).recorder.events.length + 1; // and 'bytes' of the one block
  for (const positions of [[], everyByte(bytes)]) {
    for (let stopAfter = 1; stopAfter <= total; stopAfter++) {
      const recorder = new Recorder();
      const decoder = new Decoder(recorder);
      let seen = 0;
      recorder.onEvent = () => {
        seen++;
        if (seen === stopAfter) decoder.stop();
      };
      let isGood = true;
      for (const at of positions.length === 0 ? [-1] : positions) {
        isGood = at === -1 ? decoder.push(bytes, 0, bytes.length) : decoder.push(bytes, at, at + 1);
      }
      assert.equal(seen, stopAfter);
      assert.equal(isGood, false);
      assert.equal(decoder.error, null);
      assert.equal(decoder.push(bytes, 0, bytes.length), false);
      assert.equal(seen, stopAfter);
    }
  }
});

test('after an error nothing more is delivered', () => {
  const bytes = Buffer.concat([encode([PLAIN[1]!]), prefix(2, 0, 0), encode(ONE_OF_EACH)]);
  const { recorder, decoder, isGood } = run(bytes, everyByte(bytes));
  assert.equal(isGood, false);
  assert.deepEqual(recorder.events, ['choke']);
  assert.equal(decoder.error?.code, 'WRONG_SIZE');
  assert.equal(decoder.push(encode(ONE_OF_EACH), 0, 4), false);
  assert.deepEqual(recorder.events, ['choke']);
});

test('only source[start, end) is read', () => {
  const bytes = Buffer.concat([Buffer.from([9, 9, 9]), encode([PLAIN[1]!, PLAIN[2]!]), Buffer.from([9, 9])]);
  const recorder = new Recorder();
  const decoder = new Decoder(recorder);
  assert.equal(decoder.push(bytes, 3, bytes.length - 2), true);
  assert.equal(decoder.push(bytes, 5, 5), true);
  assert.deepEqual(recorder.events, ['choke', 'unchoke']);
  assert.throws(() => decoder.push(bytes, 0, bytes.length + 1), RangeError);
});
