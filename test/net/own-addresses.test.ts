import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { NetworkInterfaceInfo } from 'node:os';
import { describe, it } from 'node:test';
import { shellWord } from '../../src/cli/shell-word.js';
import { hostForUrl, localAddress, localAddresses, makeIsInside, OwnNetworks } from '../../src/net/own-addresses.js';

function info(address: string, internal = false): NetworkInterfaceInfo {
  const common = { address, netmask: '', mac: '', cidr: null, internal };
  return address.includes(':') ? { ...common, family: 'IPv6', scopeid: 0 } : { ...common, family: 'IPv4' };
}

describe('the address to paste elsewhere', () => {
  it('is an IPv4 one before an IPv6 one, never loopback or link-local', () => {
    const interfaces = {
      lo: [info('127.0.0.1', true), info('::1', true)],
      eth0: [info('fe80::1'), info('2001:db8::7'), info('169.254.1.1')],
      eth1: [info('192.0.2.7'), info('192.0.2.8'), info('192.0.2.7')],
    };
    assert.deepEqual(localAddresses(interfaces), ['192.0.2.7', '192.0.2.8', '2001:db8::7']);
  });

  it('is an IPv6 one, in brackets in a URL, where there is no other', () => {
    const address = localAddress({ eth0: [info('fe80::1'), info('2001:db8::7')] });
    assert.equal(hostForUrl(address), '[2001:db8::7]');
  });

  it('is loopback where there is none', () => {
    assert.equal(localAddress({ lo: [info('127.0.0.1', true)], eth0: undefined }), '127.0.0.1');
  });

  it('reaches a command as it is, through any shell', () => {
    assert.equal(shellWord('http://192.0.2.7:6969/my%20file.torrent'), 'http://192.0.2.7:6969/my%20file.torrent');
    for (const text of ['http://[2001:db8::7]:6969/x', "it's $HOME", 'a&b', '']) {
      const echoed = execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' });
      assert.equal(echoed, text);
    }
  });
});

it('interfaces that the system does not tell leave those of before', () => {
  let nowMs = 0;
  let isTold = true;
  const list = () => {
    if (!isTold) throw new Error('netlink says no');
    return { eth0: [{ ...info('203.0.113.7'), cidr: '203.0.113.7/24' }] };
  };
  const own = new OwnNetworks(() => nowMs, list);
  const isInside = makeIsInside(() => nowMs, list);
  assert.deepEqual(
    [own.towards('203.0.113.9'), isInside('203.0.113.7'), isInside('8.8.8.8')],
    ['203.0.113.7', true, false],
  );
  isTold = false;
  nowMs = 10_000;
  assert.deepEqual(
    [own.towards('203.0.113.9'), isInside('203.0.113.7'), isInside('8.8.8.8')],
    ['203.0.113.7', true, false],
  );
});
