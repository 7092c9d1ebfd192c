import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeWord, parseWord, WORD_CHARS_MAX } from '../../src/tracker/shared/word.js';

const ID = '-XX0001-\x00\xff0123456789';
const HOST = [192, 0, 2, 1];

function word(address: readonly number[], zone = ''): string {
  return encodeWord('leech', Uint8Array.from(address), ID, zone);
}

test('a word says all of a peer, of both families', () => {
  const peers = fc.record({
    kind: fc.constantFrom('seed' as const, 'leech' as const, 'stopped' as const),
    compact: fc.oneof(
      fc.uint8Array({ minLength: 3, maxLength: 3 }).map((rest) => Uint8Array.of(10, ...rest, 1, 1)),
      fc.uint8Array({ minLength: 15, maxLength: 15 }).map((rest) => Uint8Array.of(0x20, ...rest, 1, 1)),
    ),
    peerId: fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    zone: fc.constantFrom('', 'eu-1/rack_7', 'a'.repeat(64)),
  });
  fc.assert(
    fc.property(peers, (peer) => {
      const text = encodeWord(peer.kind, peer.compact, peer.peerId, peer.zone);
      assert.ok(text.length <= WORD_CHARS_MAX);
      assert.deepEqual(parseWord(text), { ...peer });
    }),
  );
});

test('without a zone it is short enough for a small set', () => {
  assert.equal(word([...HOST, 26, 225]).length, 36);
  assert.equal(word([0x20, 1, ...new Array(14).fill(0), 26, 225]).length, 52);
});

test('what is not exactly a word is none', () => {
  const good = word([...HOST, 26, 225]);
  assert.notEqual(parseWord(good), null);
  const last = good.slice(0, -1);
  const bad = [
    '',
    good.slice(1),
    `S${good.slice(1)}`,
    last,
    `${good}A`,
    `${good}=`,
    `${good} `,
    `${good} a b`,
    ` ${good}`,
  ];
  bad.push(`${good} /a`, `${good} ${'a'.repeat(65)}`, good.replace(/.$/, '-'), good.replace(/.$/, '+'), `${last}é`);
  for (const text of bad) assert.equal(parseWord(text), null, JSON.stringify(text));
});

test('two texts are never the same peer', () => {
  const good = word([...HOST, 26, 225]);
  const twins = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].filter((letter) => {
    const parsed = parseWord(good.slice(0, -1) + letter);
    return parsed !== null && parsed.peerId === ID;
  });
  assert.equal(twins.length, 1);
});

test('nobody is sent to port 0, to an address of everybody or to none', () => {
  const zeros = new Array<number>(15).fill(0);
  const mapped = [...new Array<number>(10).fill(0), 255, 255, ...HOST];
  const hosts = [
    [0, 0, 0, 0],
    [224, 0, 0, 1],
    [255, 255, 255, 255],
    [...zeros, 0],
    [0xff, 2, ...zeros.slice(2), 1],
    mapped,
  ];
  for (const host of hosts) assert.equal(parseWord(word([...host, 26, 225])), null, host.join('.'));
  assert.equal(parseWord(word([...HOST, 0, 0])), null);
  assert.notEqual(parseWord(word([...zeros, 1, 26, 225])), null);
});
