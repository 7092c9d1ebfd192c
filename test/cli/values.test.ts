import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatBinary, formatBytes, formatRate } from '../../src/cli/format.js';
import {
  isHttpUrl,
  parseConnections,
  parseDuration,
  parseHostPort,
  parsePieceLength,
  parsePort,
  parseRate,
  parseSize,
  parseTrackerUrl,
  parseWebSeedUrl,
  parseZone,
  ValueError,
} from '../../src/cli/values.js';

function refuses(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) assert.throws(() => parse(text), ValueError, `"${text}" must be refused`);
}

describe('values of the command line', () => {
  it('reads ports from 0 to 65535 and nothing else', () => {
    assert.equal(parsePort('0'), 0);
    assert.equal(parsePort('65535'), 65_535);
    refuses(parsePort, ['65536', '-1', '', ' ', '1.5', '0x10', '1e3', '٣', '6881 ', '000001']);
    assert.equal(parseConnections('65535'), 65_535);
    refuses(parseConnections, ['0', '65536', '-1', '', '1.5', 'all']);
  });

  it('reads sizes in bytes, and with the units that are shown and no others', () => {
    assert.equal(parseSize('16384'), 16_384);
    assert.equal(parseSize('256KiB'), 262_144);
    assert.equal(parseSize('20M'), 20_000_000);
    assert.equal(parseSize('20 MB'), 20_000_000);
    assert.equal(parseSize('7kB'), 7_000);
    assert.equal(parseSize('2T'), 2_000_000_000_000);
    assert.equal(parseSize('1Gi'), 2 ** 30);
    assert.equal(parseSize('4 MiB'), 4_194_304);
    assert.equal(parseSize('1.5g'), 1_500_000_000);
    refuses(parseSize, ['0', '-1', '', 'KiB', '1.3', '1Kb/s', '1E', '9999999999999999T', '1 M B', 'NaN', 'Infinity']);
  });

  it('reads what is shown as what it was, but for the digits that are not shown', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 50 }), (bytes) => {
        const shown = formatBytes(bytes);
        const read = parseSize(shown);
        assert.ok(Math.abs(read - bytes) <= Math.max(0.5, 0.06 * 1000 ** Math.floor(Math.log10(read) / 3)), shown);
        assert.equal(formatBytes(read), shown);
        assert.equal(formatRate(parseRate(`${shown}/s`)), `${shown}/s`);
      }),
    );
    for (let bytes = 2 ** 14; bytes <= 2 ** 26; bytes *= 2) assert.equal(parseSize(formatBinary(bytes)), bytes);
  });

  it('reads names of zones and nothing else', () => {
    assert.equal(parseZone('rack7'), 'rack7');
    assert.equal(parseZone('eu-1/row_2/rack.7'), 'eu-1/row_2/rack.7');
    refuses(parseZone, [
      '',
      ' ',
      'rack 7',
      '/rack7',
      'eu//rack7',
      'a/b/c/d/e',
      'x'.repeat(65),
      'räck',
      'a&event=stopped',
    ]);
  });

  it('rates are sizes per second, with or without saying so', () => {
    assert.equal(parseRate('50M'), 50_000_000);
    assert.equal(parseRate('1.5MiB/s'), 1.5 * 2 ** 20);
    assert.equal(parseRate('1000'), 1000);
    refuses(parseRate, ['0', '-1', 'fast', '/s', '1M/h', '']);
  });

  it('accepts a piece length only when it is a power of two within bounds', () => {
    assert.equal(parsePieceLength('1MiB', 2 ** 26), 2 ** 20);
    assert.equal(parsePieceLength('16KiB', 2 ** 26), 2 ** 14);
    assert.equal(parsePieceLength('64MiB', 2 ** 26), 2 ** 26);
    refuses((text) => parsePieceLength(text, 2 ** 26), ['8KiB', '128MiB', '3MiB', '1000000']);
    assert.throws(() => parsePieceLength('4M', 2 ** 26), /4M is 4,000,000 bytes; did you mean 4MiB\?/);
    assert.throws(
      () => parsePieceLength('1GB', 2 ** 26),
      (error: Error) => !/did you mean/.test(error.message),
    );
  });

  it('reads durations in seconds, minutes, hours, days, and for ever', () => {
    assert.equal(parseDuration('30s'), 30_000);
    assert.equal(parseDuration('10m'), 600_000);
    assert.equal(parseDuration('2h'), 7_200_000);
    assert.equal(parseDuration('1d'), 86_400_000);
    assert.equal(parseDuration('0.5s'), 500);
    assert.equal(parseDuration('90'), 90_000);
    assert.equal(parseDuration('0'), 0);
    assert.equal(parseDuration('forever'), Number.POSITIVE_INFINITY);
    refuses(parseDuration, ['', '-1s', '1w', 's', '1 s', '999999999999d', 'NaN', 'Infinity']);
  });

  it('accepts http, https and udp trackers, and http or https web seeds', () => {
    for (const url of ['http://t.example/announce', 'https://[2001:db8::1]:1/a', 'udp://t.example:6969']) {
      assert.equal(parseTrackerUrl(url), url);
    }
    assert.equal(parseWebSeedUrl('https://s.example/x'), 'https://s.example/x');
    refuses(parseTrackerUrl, ['', 't.example', 'ftp://t.example', 'wss://t.example', 'javascript:1', 'http://']);
    refuses(parseWebSeedUrl, ['udp://t.example:1', 'file:///etc/passwd', 'x']);
  });

  it('tells URLs from paths', () => {
    assert.equal(isHttpUrl('HTTP://h/x.torrent'), true);
    assert.equal(isHttpUrl('http/x.torrent'), false);
    assert.equal(isHttpUrl('C:\\x.torrent'), false);
  });

  it('reads names, IPv4 and bracketed IPv6 addresses with a port', () => {
    assert.deepEqual(parseHostPort('seed.example:6881'), { host: 'seed.example', port: 6881 });
    assert.deepEqual(parseHostPort('192.0.2.7:1'), { host: '192.0.2.7', port: 1 });
    assert.deepEqual(parseHostPort('[2001:db8::7]:65535'), { host: '2001:db8::7', port: 65_535 });
    refuses(parseHostPort, ['a', 'a:0', 'a:65536', ':1', '2001:db8::7:1', '[a]:1', '[::1]', 'a b:1', 'a:1:2', 'a/b:1']);
  });

  it('either returns a usable number or refuses, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{0,20}[a-zA-Z]{0,4}$/)), (text) => {
        for (const [parse, isUsable] of [
          [parsePort, (value: number) => Number.isInteger(value) && value >= 0 && value <= 65_535],
          [parseSize, (value: number) => Number.isSafeInteger(value) && value > 0],
          [parseDuration, (value: number) => value >= 0],
        ] as const) {
          try {
            assert.ok(isUsable(parse(text)));
          } catch (error) {
            assert.ok(error instanceof ValueError, String(error));
          }
        }
      }),
    );
  });
});
