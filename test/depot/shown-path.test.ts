/** What logs and the page show of a request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownPath } from '../../src/depot/http/shown-path.js';

const KEY = 'SECRET';

test('no passkey, ticket, query or user of a target is shown, however it is spelled', () => {
  for (const target of [
    `/${KEY}/announce?info_hash=x`,
    `/${KEY}/scrape`,
    `/${KEY}/announce/`,
    `/${KEY}/%61nnounce`,
    `/${KEY}%2Fannounce`,
    `//${KEY}//announce`,
    `/${KEY}/announce%`,
    `http://host:1/${KEY}/announce`,
    `http://user:${KEY}@host/artifacts/x`,
    `/actions-cache/upload/${KEY}`,
    `/actions-cache/download/${KEY}?x`,
    `/actions%2dcache/upload/${KEY}`,
    `/actions-cache//upload/${KEY}/`,
    `/artifacts/x?token=${KEY}`,
  ]) {
    assert.ok(!shownPath(target).includes(KEY), shownPath(target));
  }
  assert.equal(shownPath('/KEY/announce'), '/…/announce');
  assert.equal(shownPath('/actions-cache/upload/KEY'), '/actions-cache/upload/…');
  for (const plain of ['/artifacts/a%20b', '/', '/announce', '/artifacts/announce/x', '/%zz'])
    assert.equal(shownPath(plain), plain);
});
