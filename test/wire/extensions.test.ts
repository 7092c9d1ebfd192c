import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../src/config.js';
import { WireError } from '../../src/wire/error.js';
import {
  ExtendedGreeting,
  type ExtendedHandshake,
  ExtendedHandshakes,
  encodeExtendedHandshake,
  parseExtendedHandshake,
  pieceMessage,
  pieceOfMessage,
} from '../../src/wire/extensions.js';

const NOTHING: ExtendedHandshake = {
  m: new Map(),
  disabled: new Set(),
  version: null,
  port: null,
  reqq: null,
  requestBytes: null,
  yourIp: null,
  metadataSize: null,
  uploadOnly: null,
};

function parse(payload: string | Uint8Array): ExtendedHandshake {
  const result = parseExtendedHandshake(typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload);
  assert.ok(!(result instanceof WireError), result instanceof WireError ? result.reason : '');
  return result;
}

function refusal(payload: string | Uint8Array): string {
  const result = parseExtendedHandshake(typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload);
  assert.ok(result instanceof WireError);
  assert.equal(result.code, 'BAD_EXTENDED');
  return result.reason;
}

test('our handshake is canonical bencode with sorted keys', () => {
  const options = { m: { ut_pex: 1, ut_metadata: 2 }, version: 'Swarmhaul 0.1.0', port: 6881, reqq: 2000 };
  assert.equal(
    encodeExtendedHandshake({ ...options, yourIp: '1.2.3.4' }).toString('latin1'),
    'd1:md11:ut_metadatai2e6:ut_pexi1ee1:pi6881e4:reqqi2000e1:v15:Swarmhaul 0.1.06:yourip4:\x01\x02\x03\x04e',
  );
});

test('a handshake that is made for many peers says to each what one made for it alone would', () => {
  const options = { m: { lt_donthave: 2 }, version: 'Swarmhaul 0.1.0', port: 6881, reqq: 2000, requestBytes: 262144 };
  const greeting = new ExtendedGreeting(options);
  for (const yourIp of ['1.2.3.4', '2001:db8::1', 'not an address', '']) {
    assert.deepEqual(greeting.to(yourIp), encodeExtendedHandshake({ ...options, yourIp }), yourIp);
  }
});

test('what was encoded is parsed', () => {
  const m = new Map([
    ['ut_metadata', 3],
    ['ut_pex', 255],
    ['lt_off', 0],
  ]);
  const payload = encodeExtendedHandshake({
    m,
    version: 'Swarmhaul 0.1.0',
    port: 51413,
    reqq: 500,
    yourIp: '2001:db8::1',
    metadataSize: 31235,
    requestBytes: 262144,
    uploadOnly: true,
  });
  assert.deepEqual(parse(payload), {
    m: new Map([
      ['ut_metadata', 3],
      ['ut_pex', 255],
    ]),
    disabled: new Set(['lt_off']),
    version: 'Swarmhaul 0.1.0',
    port: 51413,
    reqq: 500,
    yourIp: '2001:db8::1',
    metadataSize: 31235,
    requestBytes: 262144,
    uploadOnly: true,
  });
});

test('whether a peer wants anything is told, told otherwise, or left as it was', () => {
  const say = (uploadOnly?: boolean) => encodeExtendedHandshake({ m: {}, version: 'x', reqq: 1, uploadOnly });
  const heard = [undefined, true, false].map((said) => parse(say(said)).uploadOnly);
  assert.deepEqual(heard, [null, true, false]);
  const odd = ['i-1e', 'i99999999999e', '1:1', 'le'].map((value) => parse(`d11:upload_only${value}e`).uploadOnly);
  assert.deepEqual(odd, [true, true, null, null]);
});

test('fields that are not given are left out', () => {
  const payload = encodeExtendedHandshake({ m: {}, version: 'x', port: null, reqq: 1, yourIp: 'not an address' });
  assert.equal(payload.toString(), 'd1:mde4:reqqi1e1:v1:xe');
  assert.deepEqual(parse(payload), { ...NOTHING, version: 'x', reqq: 1 });
});

test('handshakes in the form of libtorrent and of clients with unsorted keys are read', () => {
  const libtorrent =
    'd12:complete_agoi-1e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi3e12:ut_holepunchi4e' +
    '11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e4:reqqi500e11:upload_onlyi1e' +
    '1:v16:libtorrent/2.0.86:yourip4:\x7f\x00\x00\x01e';
  const { m, ...rest } = parse(libtorrent);
  assert.equal(m.get('ut_metadata'), 2);
  assert.equal(m.size, 6);
  assert.equal(rest.yourIp, '127.0.0.1');
  assert.equal(rest.version, 'libtorrent/2.0.8');
  assert.equal(rest.reqq, 500);
  assert.equal(rest.uploadOnly, true);
  const unsorted = parse('d1:v3:abc1:pi6881e1:md6:ut_pexi1e11:ut_metadatai2eee');
  assert.deepEqual([unsorted.version, unsorted.port, unsorted.m.size], ['abc', 6881, 2]);
});

test('fields of a wrong type or range are ignored', () => {
  assert.deepEqual(parse('de'), NOTHING);
  assert.deepEqual(parse('d1:mi1e1:p4:68814:reqq3:2501:vi5e6:youripi7ee'), NOTHING);
  assert.deepEqual(parse('d1:mle1:pi0e4:reqqi0e1:v0:6:yourip3:abce'), NOTHING);
  assert.deepEqual(parse('d13:metadata_sizei-5e1:pi65536e4:reqqi-1e11:upload_only1:1e'), NOTHING);
  assert.deepEqual(parse('d18:haul_request_bytes3:abce'), NOTHING);
  assert.deepEqual(parse('d18:haul_request_bytesi-16384ee'), NOTHING);
  const { m, disabled } = parse('d1:md1:ai-1e1:bi256e1:c1:x1:di0e1:ei255eee');
  assert.deepEqual([...m], [['e', 255]]);
  assert.deepEqual([...disabled], ['d']);
});

test('reqq is capped at what we would ever send', () => {
  assert.equal(parse('d4:reqqi9007199254740991ee').reqq, LIMITS.requestsPerPeer);
  assert.equal(parse('d4:reqqi1ee').reqq, 1);
});

test('the version is made printable and cut to 100 characters', () => {
  assert.equal(parse('d1:v6:a\x1b[2Jbe').version, 'a?[2Jb');
  assert.equal(parse(`d1:v1000:${'x'.repeat(1000)}e`).version, 'x'.repeat(100));
});

test('the number and the length of extension names held for a peer are bounded', () => {
  const many = Array.from({ length: 900 }, (_, i) => `4:x${String(i).padStart(3, '0')}i1e`).join('');
  assert.equal(parse(`d1:md${many}ee`).m.size, 64);
  assert.equal(parse(`d1:md65:${'n'.repeat(65)}i1eee`).m.size, 0);
});

test('a payload that is no dictionary is refused with one line that says why', () => {
  assert.match(refusal(''), /^extension handshake: not valid bencode: .+ at byte 0$/);
  assert.equal(refusal('i1e'), 'extension handshake: not a dictionary');
  assert.equal(refusal('le'), 'extension handshake: not a dictionary');
  assert.match(refusal('d1:pi1e'), /not valid bencode/);
  assert.match(refusal('de\0'), /bytes after the end at byte 2/);
  assert.match(refusal('d1:pi1e1:pi2ee'), /duplicate/);
  assert.match(refusal(`d1:a${'l'.repeat(9)}${'e'.repeat(9)}e`), /deeper than 8/);
  assert.match(refusal(`d1:al${'i1e'.repeat(2000)}ee`), /more than 2000 values/);
  assert.match(refusal(new Uint8Array(65_537)), /65537 bytes, the limit is 65536/);
});

test('any payload is read or refused, never thrown', () => {
  const piece = fc.constantFrom(
    'd',
    'e',
    'l',
    '1:m',
    '1:p',
    'i5e',
    '4:reqq',
    '1:v',
    '2:\xff\xfe',
    'i-0e',
    '9:__proto__',
  );
  const text = fc.array(piece, { maxLength: 20 }).map((parts) => Buffer.from(`d${parts.join('')}e`, 'latin1'));
  fc.assert(
    fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 60 })), (payload) => {
      const result = parseExtendedHandshake(payload);
      if (result instanceof WireError) assert.match(result.reason, /^extension handshake: [\x20-\x7e]+$/);
      else assert.ok(result.port === null || (result.port > 0 && result.port < 65536));
    }),
    { numRuns: 1000 },
  );
});

test('a message that names a piece says it in 4 bytes, and other lengths name none', () => {
  for (const piece of [0, 5, 0x01020304, 2 ** 32 - 1]) assert.equal(pieceOfMessage(pieceMessage(piece)), piece);
  assert.deepEqual([...pieceMessage(0x01020304)], [1, 2, 3, 4]);
  for (const length of [0, 3, 5, 64]) assert.equal(pieceOfMessage(new Uint8Array(length)), null);
});

test('handshakes of one client are read once; our address, which they end with, is each one’s own', () => {
  const handshakes = new ExtendedHandshakes();
  const greeting = new ExtendedGreeting({ m: { lt_donthave: 2 }, version: 'Test 1', port: 6881, reqq: 250 });
  const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::1', '192.0.2.4'];
  for (const address of addresses)
    assert.deepEqual(handshakes.read(greeting.to(address)), { ...parsed(greeting.to(address)), yourIp: address });
  for (const text of [
    'd1:v6:Test 2e',
    'd1:v6:Test 2e',
    'd1:v6:Test 3e',
    'd1:v14:6:yourip4:abcde',
    'd1:v14:6:yourip4:abceee',
  ])
    assert.deepEqual(handshakes.read(Buffer.from(text)), parsed(Buffer.from(text)), text);
});

test('what is no handshake is refused whatever came before', () => {
  const handshakes = new ExtendedHandshakes();
  const greeting = new ExtendedGreeting({ m: {}, version: 'Test 1', reqq: 250 }).to('192.0.2.1');
  handshakes.read(greeting);
  const broken = Buffer.from(greeting);
  broken[broken.length - 1] = 0x78;
  assert.ok('code' in handshakes.read(broken));
  assert.ok('code' in handshakes.read(greeting.subarray(0, -1)));
  assert.equal((handshakes.read(greeting) as ExtendedHandshake).yourIp, '192.0.2.1');
});

function parsed(payload: Uint8Array): ExtendedHandshake {
  return parseExtendedHandshake(payload) as ExtendedHandshake;
}
