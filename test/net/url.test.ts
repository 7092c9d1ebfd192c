/** What is shown of a URL: nothing that lets somebody in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownUrl } from '../../src/net/url.js';

test('no passkey of a tracker is shown, wherever its URL has it', () => {
  const shown: Record<string, string> = {
    'http://t.example/announce': 'http://t.example/announce',
    'http://t.example/0123456789abcdef0123456789abcdef/announce': 'http://t.example/…/announce',
    'https://t.example:8443/a/alice/announce.php?passkey=secret': 'https://t.example:8443/…/…/announce.php?…',
    'http://t.example/announce/secret': 'http://t.example/announce/…',
    'http://t.example/secret/scrape?info_hash=x': 'http://t.example/…/scrape?…',
    'http://user:secret@t.example/announce': 'http://t.example/announce',
    'udp://t.example:6969/secret/announce': 'udp://t.example:6969/…/announce',
    'udp://t.example:6969/secret': 'udp://t.example:6969/…',
    'udp://t.example:6969': 'udp://t.example:6969',
    'http://data.example/files/disk.iso': 'http://data.example/files/disk.iso',
  };
  for (const [url, expected] of Object.entries(shown)) assert.equal(shownUrl(url), expected);
});

test('what is no URL is shown as a short string', () => {
  assert.equal(shownUrl('no url\n'), '"no url\\n"');
  assert.ok(shownUrl('x'.repeat(1000)).length < 70);
});
