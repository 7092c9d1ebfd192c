/** The message of local service discovery: what is sent, and what is read of others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LSD_LIMITS } from '../../src/lsd/limits.js';
import { encodeSearch, hashesPerDatagram, parseSearch } from '../../src/lsd/messages.js';

const HASH = '0123456789abcdef0123456789abcdef01234567';
const OTHER = 'f'.repeat(40);
const HOST = '[ff15::efc0:988f]:6771';
const read = (text: string) => parseSearch(Buffer.from(text, 'latin1'));
const message = (...headers: string[]) => `BT-SEARCH * HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n\r\n`;

test('what we send has the form of BEP 14 to the letter, and is read back', () => {
  const bytes = encodeSearch('239.192.152.143:6771', 6881, [HASH, OTHER], 'c00c1e');
  const lines = ['Host: 239.192.152.143:6771', 'Port: 6881', `Infohash: ${HASH}`, `Infohash: ${OTHER}`];
  assert.equal(bytes.toString(), message(...lines, 'cookie: c00c1e'));
  assert.deepEqual(parseSearch(bytes), { port: 6881, infoHashes: [HASH, OTHER], cookie: 'c00c1e' });
});

test('as many info-hashes as fit go into a datagram that is not cut on its way', () => {
  const most = hashesPerDatagram(HOST, 'c'.repeat(16));
  const length = (count: number) => encodeSearch(HOST, 65_535, Array(count).fill(HASH), 'c'.repeat(16)).length;
  assert.ok(length(most) <= LSD_LIMITS.datagramBytes && length(most + 1) > LSD_LIMITS.datagramBytes, `${most}`);
  assert.equal(most, 25);
});

test('what others write is read: any case, order and blanks, bare line feeds, unknown headers, no cookie', () => {
  const found = { port: 1, infoHashes: [HASH], cookie: null };
  assert.deepEqual(read(message(`INFOHASH:${HASH.toUpperCase()}`, 'PORT:  1  ', 'X-What: ever: and more')), found);
  assert.deepEqual(read(`BT-SEARCH * HTTP/1.1\nPort: 1\nInfohash: ${HASH}\n\n`), found);
  assert.deepEqual(read(`bt-search * HTTP/1.0\r\nPort: 1\r\nInfohash: ${HASH}`), found, 'the end may be missing');
  assert.deepEqual(read(message(`Infohash: ${HASH}`, `Infohash: ${HASH}`, 'Infohash: short', 'Port: 1')), found);
});

test('what has another form, or says nothing, is not read', () => {
  const hash = `Infohash: ${HASH}`;
  const bad: [string, string][] = [
    ['nothing', ''],
    ['another method', `M-SEARCH * HTTP/1.1\r\nPort: 1\r\n${hash}\r\n\r\n`],
    ['no method', `Port: 1\r\n${hash}\r\n\r\n`],
    ['no port', message(hash)],
    ['port 0', message('Port: 0', hash)],
    ['a port that is none', message('Port: 65536', hash)],
    ['a port with a sign', message('Port: +1', hash)],
    ['two ports', message('Port: 1', 'Port: 2', hash)],
    ['no info-hash', message('Port: 1')],
    ['an info-hash that is none', message('Port: 1', 'Infohash: xyz')],
    ['headers behind the empty line', `BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n\r\n${hash}\r\n\r\n`],
    ['too long', message('Port: 1', hash, `X: ${'x'.repeat(LSD_LIMITS.readBytes)}`)],
  ];
  for (const [what, text] of bad) assert.equal(read(text), null, what);
});
