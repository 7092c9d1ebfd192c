import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HaulError } from '../../src/errors.js';
import {
  type BencodeInput,
  type BencodeValue,
  decodeChecked,
  encodeBencode,
  keyName,
  type ScanLimits,
  scan,
} from '../../src/metainfo/bencode.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** What the guard says: null when it accepts, else the position at fault. Anything but a HaulError fails the test. */
function verdict(bytes: Uint8Array, limits: ScanLimits = {}): number | null {
  try {
    scan(bytes, limits);
    return null;
  } catch (error) {
    assert.ok(error instanceof HaulError, String(error));
    assert.equal(error.code, 'BAD_BENCODE');
    const { position } = error.facts;
    assert.ok(typeof position === 'number' && position >= 0 && position <= bytes.length, error.message);
    assert.match(error.message, new RegExp(`at byte ${position}$`));
    return position;
  }
}

/** A second, naive opinion: one regular expression for scalars, recursion for the rest. Works on Latin-1 text. */
function reference(text: string): boolean {
  let rest = text;
  const string = (): string => {
    const match = /^(0|[1-9][0-9]*):/.exec(rest);
    if (match === null) throw new Error('string');
    const length = Number(match[1]);
    const begin = match[0].length;
    if (begin + length > rest.length) throw new Error('short');
    const content = rest.slice(begin, begin + length);
    rest = rest.slice(begin + length);
    return content;
  };
  const value = (depth: number): void => {
    const integer = /^i(0|-?[1-9][0-9]*)e/.exec(rest);
    if (integer !== null) {
      if (!Number.isSafeInteger(Number(integer[1]))) throw new Error('integer');
      rest = rest.slice(integer[0].length);
      return;
    }
    const kind = rest[0];
    if (kind !== 'l' && kind !== 'd') {
      string();
      return;
    }
    if (depth === 100) throw new Error('depth');
    rest = rest.slice(1);
    let last: string | null = null;
    while (rest[0] !== 'e') {
      if (kind === 'd') {
        const key = string();
        if ((last !== null && key <= last) || key === '__proto__') throw new Error('key');
        last = key;
      }
      value(depth + 1);
    }
    rest = rest.slice(1);
  };
  try {
    value(0);
    return rest === '';
  } catch {
    return false;
  }
}

const key = fc
  .string({ unit: 'grapheme', maxLength: 6 })
  // A key with U+FFFD in it is named in hex, like one that is not UTF-8.
  .filter((text) => text !== '__proto__' && !/[\uFEFF\uFFFD]/.test(text));
const { tree: anyValue } = fc.letrec<{ tree: BencodeInput }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.maxSafeInteger(),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.uint8Array({ maxLength: 12 }),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
  ),
}));

/** The input as it should come back: strings as bytes, dictionaries as maps. */
function expected(value: BencodeInput): unknown {
  if (typeof value === 'number') return value === 0 ? 0 : value;
  if (typeof value === 'string') return [...Buffer.from(value)].join();
  if (value instanceof Uint8Array) return [...value].join();
  if (Array.isArray(value)) return value.map(expected);
  return new Map(Object.entries(value).map(([name, item]) => [name, expected(item as BencodeInput)]));
}

function plain(value: BencodeValue): unknown {
  if (value instanceof Uint8Array) return [...value].join();
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return new Map([...value].map(([name, item]) => [name, plain(item)]));
  return value;
}

describe('the bencode guard', () => {
  it('accepts what we encode, and decodes it to the same values', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = encodeBencode(value);
        assert.equal(verdict(bytes), null, bytes.toString('latin1'));
        assert.deepEqual(plain(decodeChecked(bytes)), expected(value));
      }),
      { numRuns: 500 },
    );
  });

  it('agrees with a naive reference on mutated bytes', () => {
    const mutation = fc.record({
      at: fc.nat(),
      kind: fc.constantFrom('set', 'cut', 'insert', 'end'),
      byte: fc.nat(255),
    });
    const byte = fc.oneof(fc.constantFrom(...latin1('0123456789ilde:-+')), fc.nat(255));
    fc.assert(
      fc.property(anyValue, fc.array(mutation, { minLength: 1, maxLength: 3 }), byte, (value, mutations, other) => {
        let bytes = [...encodeBencode(value)];
        for (const { at, kind, byte: random } of mutations) {
          const position = at % (bytes.length + 1);
          if (kind === 'set') bytes[position] = other;
          if (kind === 'cut') bytes.splice(position, 1);
          if (kind === 'insert') bytes.splice(position, 0, random);
          if (kind === 'end') bytes = bytes.slice(0, position);
        }
        const data = Buffer.from(bytes);
        assert.equal(
          verdict(data) === null,
          reference(data.toString('latin1')),
          JSON.stringify(data.toString('latin1')),
        );
      }),
      { numRuns: 3000 },
    );
  });

  it('agrees with the reference on text made of the characters of bencode', () => {
    const words = fc.constantFrom(
      'i',
      'e',
      'l',
      'd',
      '0',
      '1',
      '2',
      ':',
      '-',
      '1:a',
      '1:b',
      '2:ab',
      'i1e',
      'le',
      'de',
      '0:',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        assert.equal(verdict(latin1(text)) === null, reference(text), text);
      }),
      { numRuns: 5000 },
    );
  });

  const faults: [text: string, position: number][] = [
    ['', 0],
    ['x', 0],
    ['e', 0],
    ['-1:a', 0],
    ['i', 1],
    ['ie', 1],
    ['i-e', 2],
    ['i-0e', 0],
    ['i03e', 1],
    ['i-03e', 2],
    ['i+1e', 1],
    ['i1.5e', 2],
    ['i 1e', 1],
    ['i12', 3],
    ['i9007199254740992e', 0],
    ['i-9007199254740992e', 0],
    [`i1${'0'.repeat(400)}e`, 0],
    ['01:a', 0],
    ['00:', 0],
    ['2:a', 0],
    ['1', 1],
    ['1a', 1],
    ['99999999999999999999:a', 0],
    ['4294967296:a', 0],
    ['l', 1],
    ['li1e', 4],
    ['d', 1],
    ['d1:ae', 4],
    ['di1e1:ae', 1],
    ['dle1:ae', 1],
    ['d1:bi1e1:ai2ee', 7],
    ['d1:ai1e1:ai2ee', 7],
    ['d2:aai1e1:ai2ee', 8],
    ['d9:__proto__i1ee', 1],
    ['i1ei2e', 3],
    ['lee', 2],
    ['le\n', 2],
    ['ld1:ai1eel1:b', 13],
  ];
  for (const [text, position] of faults) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))} at byte ${position}`, () => {
      assert.equal(verdict(latin1(text)), position);
    });
  }

  it('accepts the edges: 0, ±(2^53 - 1), empty string, list and dictionary', () => {
    for (const text of ['i0e', 'i9007199254740991e', 'i-9007199254740991e', '0:', 'le', 'de', 'd0:i1ee', 'i-1e']) {
      assert.equal(verdict(latin1(text)), null, text);
    }
    assert.equal(decodeChecked(latin1('i-9007199254740991e')), -Number.MAX_SAFE_INTEGER);
  });

  it('stops at the depth limit without recursing, however deep the bomb', () => {
    const nest = (depth: number) => latin1(`${'l'.repeat(depth)}${'e'.repeat(depth)}`);
    assert.equal(verdict(nest(100)), null);
    assert.equal(verdict(nest(101)), 100);
    assert.equal(verdict(Buffer.alloc(5_000_000, 'l')), 100);
    assert.equal(verdict(latin1('d1:a'.repeat(1_000_000))), 400);
    assert.equal(verdict(nest(4), { depth: 3 }), 3);
    assert.ok(Array.isArray(decodeChecked(nest(100))));
  });

  it('stops at the token limit, keys and containers counted', () => {
    assert.equal(verdict(latin1('l0:0:e'), { tokens: 3 }), null);
    assert.equal(verdict(latin1('l0:0:0:e'), { tokens: 3 }), 5);
    assert.equal(verdict(latin1('d1:ai1ee'), { tokens: 2 }), 4);
    const many = latin1(`l${'0:'.repeat(2_000_000)}e`);
    assert.equal(verdict(many), 1 + 2 * 1_999_999);
  });

  it('takes unsorted keys on request, says where, and still refuses a duplicate anywhere', () => {
    const unsorted = latin1('d1:bi1e1:ai2e1:ci3ee');
    assert.equal(scan(unsorted, { requireSortedKeys: false }).unsortedAt, 7);
    assert.equal(scan(latin1('d1:ai1e1:bi2ee'), { requireSortedKeys: false }).unsortedAt, -1);
    assert.equal(verdict(latin1('d1:bi1e1:ai2e1:bi3ee'), { requireSortedKeys: false }), 13);
    assert.equal(verdict(latin1('d1:ci1e1:ai2e1:di3e1:ai4ee'), { requireSortedKeys: false }), 19);
    // A dictionary at the same depth begins with no keys seen.
    assert.equal(verdict(latin1('ld1:bi1e1:ai2eed1:bi1e1:ai2eee'), { requireSortedKeys: false }), null);
  });

  it('gives the spans of the top-level entries only', () => {
    const bytes = latin1('d4:infod1:xi1ee3:zzzd4:infoleee');
    const scanned = scan(bytes);
    assert.deepEqual(scanned.span('info'), [7, 15]);
    assert.deepEqual(scanned.span('zzz'), [20, 30]);
    assert.equal(scanned.span('x'), null);
    assert.equal(scanned.entries.length, 2);
    assert.equal(scan(latin1('l4:infoe')).span('info'), null);
  });

  it('works on a view into a larger buffer', () => {
    const whole = latin1('xxxxd4:infoi7e1:bi1eeyyyy').subarray(4, 21);
    assert.equal(verdict(whole), 10);
    const view = latin1('xxxxd1:bi1e4:infoi7eeyyyy').subarray(4, 21);
    assert.equal(scan(view).span('info')?.join(), '13,16');
    assert.equal((decodeChecked(view) as Map<string, unknown>).get('info'), 7);
  });
});

describe('decoding', () => {
  it('keeps keys of Object.prototype as plain entries', () => {
    const value = decodeChecked(latin1('d11:constructori1e8:toStringi2ee'));
    assert.deepEqual(
      value,
      new Map([
        ['constructor', 1],
        ['toString', 2],
      ]),
    );
  });

  it('refuses keys that only the package would take for one another', () => {
    const invalid = Buffer.concat([latin1('d1:'), Buffer.from([0xff]), latin1('i1e2:ffi2ee')]);
    assert.equal(scan(invalid, { requireSortedKeys: false }).keyCount, 2);
    assert.throws(() => decodeChecked(invalid, { requireSortedKeys: false }), { code: 'BAD_BENCODE' });
    const disguised = Buffer.concat([latin1('d12:'), Buffer.from('\uFEFF__proto__'), latin1('d1:ai1eee')]);
    assert.equal(scan(disguised).keyCount, 2);
    assert.throws(() => decodeChecked(disguised), { code: 'BAD_BENCODE' });
    assert.equal(({} as { a?: unknown }).a, undefined);
  });

  it('names a raw key as keyName does', () => {
    const raw = Buffer.from('00ff'.repeat(10), 'hex');
    const bytes = encodeBencode(new Map([[raw, 1]]));
    assert.deepEqual(decodeChecked(bytes), new Map([[keyName(raw), 1]]));
    assert.equal(keyName(Buffer.from('grün')), 'grün');
  });
});

describe('encoding', () => {
  it('sorts keys by raw bytes, not by UTF-16', () => {
    const bytes = encodeBencode({ '\u{1F600}': 1, '\uFF5E': 2, a: 3 });
    assert.equal(bytes.toString(), 'd1:ai3e3:\uFF5Ei2e4:\u{1F600}i1ee');
    const raw = new Map([
      [Buffer.from([0xff]), 1],
      [Buffer.from([0x61]), 2],
      [Buffer.from([0x80]), 3],
    ]);
    assert.equal(encodeBencode(raw).toString('latin1'), 'd1:ai2e1:\x80i3e1:\xffi1ee');
  });

  it('leaves undefined fields out and refuses what bencode cannot say', () => {
    assert.equal(encodeBencode({ a: undefined, b: [] }).toString(), 'd1:blee');
    for (const wrong of [1.5, Number.NaN, 2 ** 53, null, true, [undefined]]) {
      assert.throws(() => encodeBencode(wrong as BencodeInput), /bencode has no/);
    }
    assert.throws(
      () =>
        encodeBencode(
          new Map<string | Uint8Array, number>([
            ['a', 1],
            [Buffer.from('a'), 2],
          ]),
        ),
      /twice/,
    );
  });
});
