import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientName, makePeerId } from '../../src/wire/peer-id.js';
import { printable } from '../../src/wire/text.js';

function name(id: string): string {
  return clientName(Buffer.from(id.padEnd(20, '\xff'), 'latin1'));
}

test('our peer id is Azureus style with twelve url-safe characters from the generator', () => {
  let turn = 0;
  const values = [0, 0.999999, 0.5];
  const id = makePeerId(() => values[turn++ % 3]!);
  assert.equal(id.toString('latin1'), '-SH0100-A_gA_gA_gA_g');
  assert.equal(turn, 12);
  assert.equal(clientName(id), 'Swarmhaul 0.1.0');
});

test('Azureus-style ids give client and version', () => {
  assert.equal(name('-LT2080-'), 'libtorrent 2.0.8');
  assert.equal(name('-LT20B0-'), 'libtorrent 2.0.11');
  assert.equal(name('-lt0D60-'), 'rTorrent/libTorrent 0.13.6');
  assert.equal(name('-TR3000-'), 'Transmission 3.00');
  assert.equal(name('-TR2940-'), 'Transmission 2.94');
  assert.equal(name('-TR4060-'), 'Transmission 4.0.6');
  assert.equal(name('-qB4650-'), 'qBittorrent 4.6.5');
  assert.equal(name('-UT355W-'), 'µTorrent 3.5.5');
  assert.equal(name('-WW0109-'), 'WebTorrent 1.9');
  assert.equal(name('-DE2111-'), 'Deluge 2.1.1.1');
  assert.equal(name('-Zz1234-'), 'Zz 1.2.3.4');
});

test('ids of aria2, Mainline and Shadow style give client and version', () => {
  assert.equal(name('A2-1-36-0-'), 'aria2 1.36.0');
  assert.equal(name('M7-10-5--'), 'BitTorrent 7.10.5');
  assert.equal(name('S587-----'), 'Shadow 5.8.7');
  assert.equal(name('T03I-----'), 'BitTornado 0.3.18');
});

test('other ids are shown as hex', () => {
  assert.equal(name(''), 'ff'.repeat(20));
  assert.equal(
    clientName(Buffer.from('-\x1b[31m0-............')),
    Buffer.from('-\x1b[31m0-............').toString('hex'),
  );
  assert.match(name('Z123-----'), /^[0-9a-f]{40}$/);
});

test('no peer id gives anything unprintable', () => {
  const head = fc.constantFrom('', '-', '-LT', '-LT2', 'A2-', 'M', 'S58', '-\x00');
  fc.assert(
    fc.property(head, fc.uint8Array({ minLength: 20, maxLength: 20 }), (start, bytes) => {
      Buffer.from(start, 'latin1').copy(bytes);
      assert.match(clientName(bytes), /^[\x20-\x7eµ]{1,60}$/);
    }),
    { numRuns: 500 },
  );
});

test('text of peers is made printable and cut', () => {
  assert.equal(printable('qBittorrent/4.6.5', 100), 'qBittorrent/4.6.5');
  assert.equal(printable('a\x1b[2Jb\nc\u202ed\u200be\x00', 100), 'a?[2Jb?c?d?e?');
  assert.equal(printable('µTorrent ☂ 3.5', 100), 'µTorrent ☂ 3.5');
  assert.equal(printable('x'.repeat(300), 100), 'x'.repeat(100));
  assert.equal(printable('😀'.repeat(5), 3), '😀😀😀');
  assert.equal(printable('a😀😀', 2), 'a😀');
  assert.equal(printable('\ud83d', 5), '?');
});
