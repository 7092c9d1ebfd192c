import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../src/config.js';
import { HaulError } from '../../src/errors.js';
import { formatMagnet, isMagnet, type Magnet, parseMagnet, selectedBy } from '../../src/magnet/link.js';

const HEX = '0123456789abcdef0123456789abcdef01234567';
const XT = `magnet:?xt=urn:btih:${HEX}`;

function refusal(text: string): string {
  try {
    parseMagnet(text);
  } catch (error) {
    assert.ok(error instanceof HaulError, String(error));
    assert.match(error.code, /^(?:BAD_ARGUMENT|LIMIT)$/);
    assert.doesNotMatch(error.message, /[\n\r]/);
    assert.ok(error.message.length < 200, error.message);
    return error.message;
  }
  return assert.fail(`was read: ${text.slice(0, 100)}`);
}

test('all fields of a magnet are read', () => {
  const magnet = parseMagnet(
    `${XT}&dn=a+fine%20image&tr=http%3A%2F%2Ft.example%3A6969%2Fannounce&tr=udp://u.example:1` +
      '&ws=http%3A%2F%2Fw.example%2Fimage&x.pe=192.0.2.7:6881&x.pe=[2001:db8::7]:6882&x.pe=host.example:1' +
      '&so=0,2,4-6&xl=1234&kt=words&foo=bar',
  );
  const expected: Magnet = {
    infoHash: Buffer.from(HEX, 'hex'),
    infoHashHex: HEX,
    displayName: 'a fine image',
    trackers: ['http://t.example:6969/announce', 'udp://u.example:1'],
    webSeeds: ['http://w.example/image'],
    peers: [
      { host: '192.0.2.7', port: 6881 },
      { host: '2001:db8::7', port: 6882 },
      { host: 'host.example', port: 1 },
    ],
    selectOnly: [
      { first: 0, last: 0 },
      { first: 2, last: 2 },
      { first: 4, last: 6 },
    ],
    warnings: [],
  };
  assert.deepEqual(magnet, expected);
});

test('the hash may be in base32, in any case, percent-encoded, numbered, and behind &amp;', () => {
  // RFC 4648: the bytes 00 to 13 and their base32.
  const bytes = Buffer.from(Array.from({ length: 20 }, (_, i) => i));
  for (const text of [
    'magnet:?xt=urn:btih:AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT',
    'MAGNET:?XT=URN:BTIH:aaaqeayeaudaocajbifqydiob4ibceqt',
    'magnet:?xt=urn%3Abtih%3AAAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT',
    'magnet:?dn=x&amp;xt.1=urn:btih:000102030405060708090a0b0c0d0e0f10111213',
    '  magnet:?xt=urn:btih:000102030405060708090A0B0C0D0E0F10111213\n',
    'magnet:?xt=urn:ed2k:31D6CFE0D16AE931B73C59D7E0C089C0&xt=urn:btih:000102030405060708090a0b0c0d0e0f10111213',
    `magnet:?xt=urn:btmh:1220${'ab'.repeat(32)}&xt=urn:btih:000102030405060708090a0b0c0d0e0f10111213`,
  ]) {
    assert.deepEqual(parseMagnet(text).infoHash, bytes, text);
  }
});

test('what is no magnet of a torrent is refused with one line that says why', () => {
  assert.match(refusal('magnet:xt=urn:btih:'), /does not begin with 'magnet:\?'/);
  assert.match(refusal('magnet:?'), /has no xt/);
  assert.match(refusal('magnet:?dn=name&tr=http://t.example/announce'), /has no xt/);
  assert.match(refusal('magnet:?xt=urn:sha1:AAAA'), /its xt is no BitTorrent hash/);
  assert.match(refusal(`magnet:?xt=urn:btmh:1220${'ab'.repeat(32)}`), /version 2 torrent alone.*not supported yet/);
  // 1 and 8 are no letters of base32; a hash of 39 digits is none.
  assert.match(refusal('magnet:?xt=urn:btih:18AQEAYEAUDAOCAJBIFQYDIOB4IBCEQT'), /neither 40 hex.*base32: '18AQ/);
  assert.match(refusal(XT.slice(0, -1)), /neither 40 hex/);
  assert.match(refusal(`${XT}0`), /neither 40 hex/);
  assert.match(refusal(`magnet:?xt=urn:btih:${'é\u0007'.repeat(10_000)}`), /neither 40 hex/);
  assert.match(refusal(`${XT}&xt=urn:btih:${'0'.repeat(40)}`), /names two torrents/);
  assert.match(refusal(`${XT}&so=all`), /so must be numbers and ranges such as 0,2,4-6, not 'all'/);
  assert.match(refusal(`${XT}&so=`), /so must be/);
  assert.match(refusal(`${XT}&so=-1`), /so must be/);
  assert.match(refusal(`${XT}&so=5-2`), /ends before it begins/);
  assert.match(refusal(`${XT}&so=${'9'.repeat(400)}`), /so must be/);
  assert.match(refusal(`${XT}&dn=${'x'.repeat(LIMITS.magnetCharacters)}`), /more than 1048576/);
});

test('of what is too much or of no use the rest is taken, with a line of warning for each kind', () => {
  const trackers = Array.from({ length: 10_000 }, (_, i) => `&tr=http://t${i}.example/announce`).join('');
  const many = parseMagnet(XT + trackers);
  assert.equal(many.trackers.length, LIMITS.magnetTrackers);
  assert.deepEqual(many.warnings, ['more than 100 of kind tracker; the rest is ignored']);
  const peers = Array.from({ length: 10_000 }, (_, i) => `&x.pe=192.0.2.1:${i + 1}`).join('');
  assert.equal(parseMagnet(XT + peers).peers.length, LIMITS.magnetPeers);
  const bad = parseMagnet(
    `${XT}&tr=ftp://t.example&tr=%zz&tr=http://t.example/%0d%0aHost:x&tr=&ws=file:///etc/passwd&ws=ftp://w` +
      '&x.pe=nobody&x.pe=1.2.3.4:0&x.pe=224.0.0.1:6881&x.pe=0.0.0.0:1&x.pe=::1:6881&x.pe=[::1]:70000&x.pe=%ff',
  );
  assert.deepEqual(bad.trackers, []);
  assert.deepEqual([bad.webSeeds, bad.peers], [[], []]);
  assert.deepEqual(bad.warnings, [
    'a tracker is ignored: not a URL this program can use',
    'a web seed is ignored: not a URL this program can use',
    'a peer is ignored: not HOST:PORT',
  ]);
});

test('a name is a hint: without what drives a terminal, and not without end', () => {
  const name = (dn: string) => parseMagnet(`${XT}&dn=${dn}`).displayName;
  assert.equal(name('%1b[2Jimage%0A%E2%80%AEexe.bin'), '[2Jimageexe.bin');
  assert.equal(name('%ff%fe'), '%ff%fe');
  assert.equal(name(''), null);
  assert.equal(name('%0a'), null);
  assert.equal(name('..%2F..%2Fetc'), '../../etc');
  assert.equal([...name(encodeURIComponent('𝄞'.repeat(5000)))!].length <= 255, true);
});

test('so is a set of ranges that is never written out', () => {
  const ranges = (so: string) => parseMagnet(`${XT}&so=${so}`).selectOnly;
  assert.deepEqual(ranges('0-4294967295'), [{ first: 0, last: 4_294_967_295 }]);
  assert.deepEqual(ranges('7,3-5,4,6'), [{ first: 3, last: 7 }]);
  assert.deepEqual(ranges('1&so=3'), [
    { first: 1, last: 1 },
    { first: 3, last: 3 },
  ]);
  assert.deepEqual(selectedBy(ranges('0-4294967295')!, 3), ['normal', 'normal', 'normal']);
  assert.deepEqual(selectedBy(ranges('1,9')!, 3), ['skip', 'normal', 'skip']);
  assert.throws(() => selectedBy(ranges('3-999999999999999')!, 3), /so names none of the files.*which has 3/);
});

const urls = (scheme: string) => fc.webUrl({ validSchemes: [scheme], withQueryParameters: true });
const address = fc.record(
  {
    host: fc.oneof(
      fc.ipV4().filter((host) => !/^(?:0|22[4-9]|2[3-5]\d)\./.test(host)),
      fc.constant('2001:db8::7'),
    ),
    port: fc.integer({ min: 1, max: 65_535 }),
  },
  { noNullPrototype: true },
);

test('what was written is read', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 20, maxLength: 20 }),
      fc.stringMatching(/^[a-z&=?+%#é 0-9]{1,50}$/).filter((name) => name.trim() === name),
      fc.uniqueArray(urls('http'), { maxLength: 5 }),
      fc.uniqueArray(urls('https'), { maxLength: 5 }),
      fc.uniqueArray(address, { maxLength: 5, selector: ({ host, port }) => `${host} ${port}` }),
      (infoHash, displayName, trackers, webSeeds, peers) => {
        const magnet = parseMagnet(formatMagnet({ infoHash, displayName, trackers, webSeeds, peers }));
        assert.deepEqual(magnet, {
          infoHash: Buffer.from(infoHash),
          infoHashHex: Buffer.from(infoHash).toString('hex'),
          displayName,
          trackers,
          webSeeds,
          peers,
          selectOnly: null,
          warnings: [],
        });
      },
    ),
  );
});

test('whatever the text, a magnet is read or refused with one line', () => {
  const word = fc.oneof(
    fc.constantFrom('magnet:?', 'xt=', 'urn:btih:', HEX, '&', '=', 'so=', '0-', '4294967295', ',', 'tr=', 'dn=', '%'),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const text = fc.oneof(
    fc.array(word, { maxLength: 30 }).map((words) => words.join('')),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (tail) => {
      for (const link of [tail, `magnet:?${tail}`, `${XT}&${tail}`]) {
        isMagnet(link);
        try {
          const { infoHash, selectOnly } = parseMagnet(link);
          assert.equal(infoHash.length, 20);
          for (const { first, last } of selectOnly ?? []) assert.ok(first >= 0 && first <= last);
        } catch (error) {
          assert.ok(error instanceof HaulError, String(error));
          refusal(link);
        }
      }
    }),
    { numRuns: 2000 },
  );
});
