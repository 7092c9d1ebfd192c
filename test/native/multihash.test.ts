/** The native hash against node:crypto: every way of this machine, whatever the messages are cut into. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import koffi from 'koffi';
import { nativeLibrary } from '../../src/native/library.js';
import {
  FASTEST_WAY,
  HASH_WAYS,
  type HashAlgorithm,
  HashCall,
  hashRates,
  hashWays,
} from '../../src/native/multihash.js';

const why = nativeLibrary() === null ? 'there is no native library' : null;
const ALGORITHMS: readonly HashAlgorithm[] = ['sha1', 'sha256'];

/** A part of a message: bytes of memory, or so many zeros. */
type Part = Uint8Array | number;

const addressOf = (bytes: Uint8Array): number => (bytes.length === 0 ? 4096 : Number(koffi.address(bytes)));

function addParts(call: HashCall, parts: readonly Part[]): void {
  for (const part of parts) {
    if (typeof part === 'number') call.range(0, part);
    else call.range(addressOf(part), part.length);
  }
}

function digests(algorithm: HashAlgorithm, messages: readonly (readonly Part[])[], way: number): string[] {
  const call = new HashCall(algorithm);
  for (const parts of messages) {
    call.message();
    addParts(call, parts);
  }
  call.run(way);
  return messages.map((_, index) => call.digest(index).toString('hex'));
}

function expected(algorithm: HashAlgorithm, messages: readonly (readonly Part[])[]): string[] {
  return messages.map((parts) => {
    const hash = createHash(algorithm);
    for (const part of parts) hash.update(typeof part === 'number' ? Buffer.alloc(part) : part);
    return hash.digest('hex');
  });
}

/** FIPS 180-4, the examples of NIST. */
const VECTORS: readonly [text: Buffer, sha1: string, sha256: string][] = [
  [
    Buffer.from(''),
    'da39a3ee5e6b4b0d3255bfef95601890afd80709',
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  ],
  [
    Buffer.from('abc'),
    'a9993e364706816aba3e25717850c26c9cd0d89d',
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  ],
  [
    Buffer.from('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'),
    '84983e441c3bd26ebaae4aa1f95129e5e54670f1',
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
  [
    Buffer.alloc(1_000_000, 'a'),
    '34aa973cd4c4daa4f61eeb2bdbad27316534016f',
    'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
  ],
];

describe('the native hash', { skip: why ?? false }, () => {
  for (const algorithm of ALGORITHMS) {
    const ways = why === null ? [FASTEST_WAY, ...hashWays(algorithm)] : [];
    for (const way of ways) {
      const name = `${algorithm}, ${HASH_WAYS[way] ?? 'the fastest way'}`;

      test(`${name}: the vectors of FIPS 180, alone and together`, () => {
        const wanted = VECTORS.map(([, ...hex]) => hex[algorithm === 'sha1' ? 0 : 1]);
        for (const [index, [text]] of VECTORS.entries()) {
          assert.deepEqual(digests(algorithm, [[text]], way), [wanted[index]]);
        }
        const all = Array.from({ length: 5 }, () => VECTORS.map(([text]) => [text])).flat();
        assert.deepEqual(digests(algorithm, all, way), Array.from({ length: 5 }, () => wanted).flat());
      });

      test(`${name}: all lengths from 0 to 300 in one call, at odd places in memory`, () => {
        const bytes = randomBytes(1024);
        const messages = Array.from({ length: 301 }, (_, length) => [
          bytes.subarray((length * 7) % 67, ((length * 7) % 67) + length),
        ]);
        assert.deepEqual(digests(algorithm, messages, way), expected(algorithm, messages));
        const backwards = messages.toReversed();
        assert.deepEqual(digests(algorithm, backwards, way), expected(algorithm, backwards));
      });

      test(`${name}: 1 to 40 messages, of very unequal lengths`, () => {
        const bytes = randomBytes(300_000);
        for (let count = 1; count <= 40; count++) {
          const messages = Array.from({ length: count }, (_, index) => [
            bytes.subarray(index, index + ((index * 40_503) % 299_000)),
          ]);
          assert.deepEqual(digests(algorithm, messages, way), expected(algorithm, messages));
        }
      });

      test(`${name}: messages cut anywhere, with zeros between`, () => {
        const bytes = randomBytes(70_000);
        const length = fc.oneof(fc.nat(3), fc.nat(200), fc.nat(20_000));
        const part = fc.oneof(
          length,
          fc.tuple(fc.nat(bytes.length), length).map(([begin, size]) => bytes.subarray(begin, begin + size)),
        );
        const messages = fc.array(fc.array(part, { maxLength: 9 }), { maxLength: 40 });
        const property = fc.property(messages, (cut) => {
          assert.deepEqual(digests(algorithm, cut, way), expected(algorithm, cut));
        });
        fc.assert(property, { numRuns: 100 });
      });
    }

    test(`${algorithm}: messages that come in parts`, () => {
      const bytes = randomBytes(300_000);
      const call = new HashCall(algorithm);
      const lengths = [64, 6400, 100_032, 299_968];
      for (const step of [0, 1, 2]) {
        call.clear();
        for (const length of lengths) {
          call.message(step === 0, step === 2);
          const begin = [0, 64 * Math.floor(length / 200), length][step]!;
          const end = [64 * Math.floor(length / 200), length, length + (length % 31)][step]!;
          addParts(call, [bytes.subarray(begin, end)]);
        }
        call.run();
      }
      const whole = lengths.map((length) => [bytes.subarray(0, length + (length % 31))]);
      assert.deepEqual(
        lengths.map((_, index) => call.digest(index).toString('hex')),
        expected(algorithm, whole),
      );
    });
  }

  test('more zeros than have 32 bits of bits', () => {
    // head -c 536870917 /dev/zero | sha1sum
    const wanted = '8e9aff269b0100da94e05015243e0a65c1399752';
    assert.deepEqual(digests('sha1', [[2 ** 29, 5]], FASTEST_WAY), [wanted]);
  });

  test('no messages are no work; lengths and ways that cannot be are refused', () => {
    const call = new HashCall('sha1');
    call.run();
    call.message(true, false);
    call.range(4096, 63);
    assert.throws(() => call.run(), /refused/);
    call.clear();
    call.message();
    for (const length of [2 ** 52, 2 ** 61 - 2 ** 53, 2 ** 61]) call.range(4096, length);
    assert.throws(() => call.run(), /refused/);
    call.clear();
    call.message();
    for (const way of [HASH_WAYS.length, 31, 2 ** 31 - 1]) assert.throws(() => call.run(way), /refused/);
    for (const way of HASH_WAYS.keys()) {
      if (!hashWays('sha1').includes(way)) assert.throws(() => call.run(way), /refused/);
    }
    const functions = nativeLibrary()!;
    assert.deepEqual([functions.hashWays(2), functions.hashWays(-1), functions.hashRate(2, 1)], [0, 0, 0]);
    const [words, none] = [new Uint32Array(12), new Uint32Array(4)];
    words[10] = 2;
    words[11] = 3;
    for (const args of [
      [0, words, 1, none, 1, -1],
      [0, words, -1, none, 1, -1],
      [0, words, 1, none, -1, -1],
    ] as const) {
      assert.equal(functions.hash(...args), -22);
    }
  });

  test('what is worth it and what is best are small numbers, the same each time', () => {
    for (const algorithm of ALGORITHMS) {
      const rates = hashRates(algorithm);
      assert.equal(hashRates(algorithm), rates);
      if (hashWays(algorithm).length === 0) assert.equal(rates, null);
      else if (rates !== null) assert.ok(1 <= rates.atLeast && rates.atLeast <= rates.company && rates.company <= 16);
    }
  });
});
