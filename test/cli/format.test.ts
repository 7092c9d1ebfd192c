import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  count,
  formatBinary,
  formatBytes,
  formatRanges,
  formatSeconds,
  percent,
  printable,
} from '../../src/cli/format.js';
import { torrentUrlPath } from '../../src/net/own-addresses.js';

describe('numbers and names for people', () => {
  it('shows bytes in decimal units without ever printing 1000.0', () => {
    assert.equal(formatBytes(0), '0 B');
    assert.equal(formatBytes(999), '999 B');
    assert.equal(formatBytes(1000), '1.0 kB');
    assert.equal(formatBytes(536_870_912), '536.9 MB');
    assert.equal(formatBytes(999_960), '1.0 MB');
    fc.assert(
      fc.property(
        fc.nat({ max: Number.MAX_SAFE_INTEGER }),
        (bytes) => !/\d{4}/.test(formatBytes(bytes).split('.')[0]!),
      ),
    );
  });

  it('shows piece lengths in binary units', () => {
    assert.equal(formatBinary(262_144), '256 KiB');
    assert.equal(formatBinary(4_194_304), '4 MiB');
    assert.equal(formatBinary(1001), '1001 B');
  });

  it('shows times with two units at most', () => {
    assert.equal(formatSeconds(0.42), '0.4 s');
    assert.equal(formatSeconds(59.4), '59 s');
    assert.equal(formatSeconds(59.6), '1 min 0 s');
    assert.equal(formatSeconds(7500), '2 h 5 min');
    assert.equal(formatSeconds(90_000), '1 d 1 h');
    assert.equal(formatSeconds(Number.POSITIVE_INFINITY), '--');
  });

  it('says 100 percent only of what is complete', () => {
    assert.equal(percent(999_999, 1_000_000), 99.9);
    assert.equal(percent(1_000_000, 1_000_000), 100);
    assert.equal(percent(0, 5), 0);
  });

  it('joins neighbouring piece numbers into ranges and cuts long lists', () => {
    assert.equal(formatRanges([], 5), '');
    assert.equal(formatRanges([0, 1, 2, 7, 9, 10], 5), '0-2, 7, 9-10');
    assert.equal(formatRanges([0, 2, 4, 6], 2), '0, 2, … (2 more)');
  });

  it('counts nouns', () => {
    assert.equal(count(1, 'peer'), '1 peer');
    assert.equal(count(0, 'peer'), '0 peers');
  });

  it('shows control characters of hostile names instead of sending them to the terminal', () => {
    assert.equal(printable('a\u001b[31mb\nc'), 'a\\u{1b}[31mb\\u{a}c');
    assert.equal(printable('x\u202egnp.exe'), 'x\\u{202e}gnp.exe');
    assert.equal(printable('größe 文件 😀'), 'größe 文件 😀');
    assert.equal(printable('aaaa', 3), 'aaa…');
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !/\p{Cc}/u.test(printable(text))));
  });

  it('makes URL paths that need no quotes in a shell and decode to the name', () => {
    assert.equal(torrentUrlPath('my file (1).iso'), '/my%20file%20%281%29.iso.torrent');
    fc.assert(
      fc.property(fc.string(), (name) => {
        const path = torrentUrlPath(name);
        assert.match(path, /^\/[A-Za-z0-9._~%-]*$/);
        assert.equal(decodeURIComponent(path), `/${name}.torrent`);
      }),
    );
  });
});
