/** Only the torrent that a depot would make itself is taken, whatever else is in what was sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blobTorrent } from '../../../src/depot/blob-info.js';
import { ownTorrent } from '../../../src/depot/p2p/own-torrent.js';
import { encodeBencode } from '../../../src/metainfo/bencode.js';
import { parseTorrent } from '../../../src/metainfo/torrent.js';
import { bytesOf, code, MIB } from '../depot-kit.js';
import { torrentOf } from './scene.js';

const BYTES = bytesOf(MIB + 1);
const OWN = torrentOf('ü.raw', BYTES);
const INFO = { length: 600_000, name: 'a', 'piece length': 262_144, pieces: Buffer.alloc(60), private: 1 };

test('our own is taken, with trackers or without, and made anew', () => {
  const { infoHashHex, geometry, pieceHashes } = parseTorrent(OWN);
  const sent = blobTorrent('ü.raw', { ...geometry, pieces: pieceHashes }, 'http://evil/announce', 'http://evil/x');
  const taken = ownTorrent(sent, 'ü.raw');
  assert.deepEqual([taken.infoHashHex, taken.trackers, taken.webSeeds], [infoHashHex, [], []]);
  assert.deepEqual([taken.name, taken.isPrivate, taken.isMultiFile], ['ü.raw', true, false]);
});

const others: Readonly<Record<string, [unknown, RegExp]>> = {
  'pieces of another length': [{ ...INFO, 'piece length': 524_288, pieces: Buffer.alloc(40) }, /not of 262144 bytes/],
  'too few hashes': [{ ...INFO, pieces: Buffer.alloc(40) }, /a hash for each piece/],
  'a claim of 100,000 pieces': [{ ...INFO, pieces: Buffer.alloc(2_000_000) }, /a hash for each piece/],
  'several files': [{ files: [{ length: 1, path: ['a'] }], ...INFO }, /single file/],
  'another name': [{ ...INFO, name: 'b' }, /name/],
  'not private': [{ ...INFO, private: 0 }, /not private/],
  'nothing in it': [{ ...INFO, length: 0, pieces: '' }, /length/],
  'a negative length': [{ ...INFO, length: -600_000 }, /length/],
  'more in its info': [{ ...INFO, source: 'x' }, /more in its info/],
};

for (const [what, [info, why]] of Object.entries(others))
  test(`refused: ${what}`, () => {
    const bytes = encodeBencode({ info } as never);
    assert.throws(
      () => ownTorrent(bytes, 'a'),
      (error: Error) => code('MISMATCH')(error) && why.test(error.message),
    );
  });

test('refused: a length that no number holds, or written in another way', () => {
  const text = encodeBencode({ info: INFO } as never).toString('latin1');
  for (const length of ['9007199254740993', '0600000', '-0', '6e5', '', '1'.repeat(40)])
    assert.throws(() => ownTorrent(Buffer.from(text.replace('600000', length), 'latin1'), 'a'), code('MISMATCH'));
});

test('cut anywhere, or with megabytes of lists around it, it costs nothing', () => {
  const fits = encodeBencode({ info: INFO } as never);
  assert.equal(ownTorrent(fits, 'a').geometry.pieceCount, 3);
  for (let length = 0; length < fits.length - 1; length++)
    assert.throws(() => ownTorrent(fits.subarray(0, length), 'a'), code('MISMATCH'));
  const nested = Buffer.concat([Buffer.from('d1:a'), Buffer.alloc(4 * MIB, 'l'), fits.subarray(1)]);
  const startMs = performance.now();
  assert.equal(ownTorrent(nested, 'a').geometry.pieceCount, 3);
  assert.throws(() => ownTorrent(Buffer.alloc(8 * MIB, '4:infod6:lengthi'), 'a'), code('MISMATCH'));
  // A reader of bencoding needs seconds.
  assert.ok(performance.now() - startMs < 1_000);
});
