import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../../src/wire/error.js';
import {
  encodeHandshake,
  HANDSHAKE_BYTES,
  type Handshake,
  looksLikeHandshake,
  parseHandshake,
} from '../../src/wire/handshake.js';

const INFO_HASH = Buffer.alloc(20, 0xaa);
const PEER_ID = Buffer.from('-SH0100-abcdefghijkl');

function parsed(bytes: Uint8Array): Handshake {
  const result = parseHandshake(bytes);
  assert.ok(!(result instanceof WireError));
  return result;
}

function withReserved(reservedHex: string): Buffer {
  const bytes = encodeHandshake({ infoHash: INFO_HASH, peerId: PEER_ID });
  bytes.write(reservedHex, 20, 'hex');
  return bytes;
}

test('our handshake is the 68 bytes of BEP 3 with the bits of BEP 6 and BEP 10', () => {
  const bytes = encodeHandshake({ infoHash: INFO_HASH, peerId: PEER_ID });
  const text = `13${Buffer.from('BitTorrent protocol').toString('hex')}`;
  assert.equal(bytes.toString('hex'), `${text}0000000000100004${'aa'.repeat(20)}${PEER_ID.toString('hex')}`);
});

test('each extension bit can be switched', () => {
  const reserved = (extensions: { fast?: boolean; extended?: boolean; dht?: boolean }): string =>
    encodeHandshake({ infoHash: INFO_HASH, peerId: PEER_ID, extensions }).toString('hex', 20, 28);
  assert.equal(reserved({ fast: false, extended: false }), '0000000000000000');
  assert.equal(reserved({ fast: true, extended: false }), '0000000000000004');
  assert.equal(reserved({ fast: false, extended: true }), '0000000000100000');
  assert.equal(reserved({ dht: true }), '0000000000100005');
});

test('a handshake comes back as it was encoded, in copies', () => {
  const bytes = encodeHandshake({ infoHash: INFO_HASH, peerId: PEER_ID });
  const handshake = parsed(bytes);
  bytes.fill(0);
  assert.deepEqual(handshake, {
    infoHash: INFO_HASH,
    peerId: PEER_ID,
    supportsFast: true,
    supportsExtended: true,
    supportsDht: false,
  });
});

test('reserved bytes of real clients are understood', () => {
  const bits = (hex: string): string => {
    const { supportsFast, supportsExtended, supportsDht } = parsed(withReserved(hex));
    return [supportsFast && 'fast', supportsExtended && 'extended', supportsDht && 'dht'].filter(Boolean).join(' ');
  };
  assert.equal(bits('0000000000100005'), 'fast extended dht'); // libtorrent, Transmission
  assert.equal(bits('0000000000100004'), 'fast extended'); // aria2 without DHT
  assert.equal(bits('0000000000180005'), 'fast extended dht'); // libtorrent with BEP 52
  assert.equal(bits('0000000000100001'), 'extended dht'); // WebTorrent of old
  assert.equal(bits('8000000000130000'), 'extended'); // Vuze, Azureus messaging
  assert.equal(bits('6578000000000000'), ''); // BitComet's 'ex'
  assert.equal(bits('ffffffffffffffff'), 'fast extended dht');
  assert.equal(bits('ffffffffffeffffa'), '');
});

test('what is no handshake is refused with a reason', () => {
  for (const length of [0, 1, 67, 69]) {
    const result = parseHandshake(new Uint8Array(length));
    assert.ok(result instanceof WireError);
    assert.equal(result.reason, `handshake of ${length} bytes, must be ${HANDSHAKE_BYTES}`);
  }
  for (let at = 0; at < 20; at++) {
    const bytes = withReserved('0000000000000000');
    bytes[at]! ^= 0x20;
    const result = parseHandshake(bytes);
    assert.ok(result instanceof WireError);
    assert.equal(result.code, 'NOT_HANDSHAKE');
  }
});

test('garbage is seen at its first wrong byte, a handshake never is', () => {
  const bytes = withReserved('0000000000100005');
  for (let length = 0; length <= HANDSHAKE_BYTES; length++) assert.equal(looksLikeHandshake(bytes, length), true);
  for (let at = 0; at < 20; at++) {
    const wrong = Buffer.from(bytes);
    wrong[at]! ^= 1;
    assert.equal(looksLikeHandshake(wrong, at), true);
    assert.equal(looksLikeHandshake(wrong, at + 1), false);
  }
  assert.equal(looksLikeHandshake(Buffer.from('GET / HTTP/1.1\r\n'), 1), false);
});

test('any 68 bytes are either refused or read, without throwing', () => {
  const anyBytes = fc.uint8Array({ minLength: 68, maxLength: 68 });
  fc.assert(
    fc.property(anyBytes, fc.boolean(), (bytes, isProper) => {
      if (isProper) bytes.set(withReserved('00').subarray(0, 20));
      const result = parseHandshake(bytes);
      assert.equal(result instanceof WireError, !looksLikeHandshake(bytes, 68));
      if (!(result instanceof WireError)) assert.deepEqual(result.infoHash, Buffer.from(bytes.subarray(28, 48)));
    }),
  );
});

test('a hash or id of another length is a mistake of the caller', () => {
  assert.throws(() => encodeHandshake({ infoHash: new Uint8Array(32), peerId: PEER_ID }), RangeError);
  assert.throws(() => encodeHandshake({ infoHash: INFO_HASH, peerId: new Uint8Array(19) }), RangeError);
});
