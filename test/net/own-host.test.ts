/** Which of our addresses are meant, and from which of them somebody is connected to. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import type { Interfaces } from '../../src/net/own-addresses.js';
import { EVERY_HOST, findOwnHost, OwnHost } from '../../src/net/own-host.js';

const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

function interfaces(list: Record<string, [address: string][]>): () => Interfaces {
  const of = ([address]: [string]) => ({ address, family: address.includes(':') ? 'IPv6' : 'IPv4' }) as never;
  const entries = Object.entries(list).map(([name, addresses]) => [name, addresses.map(of)]);
  return () => Object.fromEntries(entries) as Interfaces;
}

test('without a host, and with all addresses, nothing is bound', async () => {
  for (const host of [undefined, '::', '0.0.0.0']) {
    const own = await findOwnHost(host);
    assert.deepEqual([own.isBound, own.from('192.0.2.1'), own.from('2001:db8::1')], [false, undefined, undefined]);
    assert.deepEqual(own.listenAt, host === '0.0.0.0' ? [host] : []);
  }
  assert.equal(EVERY_HOST.isBound, false);
});

test('an address that is ours is taken, listed or not; others are refused by name', async () => {
  for (const host of ['127.0.0.1', '127.0.0.99', '::ffff:127.0.0.1', ...(hasIPv6 ? ['::1'] : [])])
    assert.equal((await findOwnHost(host)).listenAt.length, 1, host);
  assert.deepEqual((await findOwnHost('::ffff:127.0.0.1')).listenAt, ['127.0.0.1']);
  const options = { interfaces: interfaces({ eth7: [['10.7.7.7']] }) };
  for (const host of ['192.0.2.7', '2001:db8::7'])
    await assert.rejects(findOwnHost(host, options), {
      code: 'BAD_ARGUMENT',
      message: new RegExp(`^host ${host}: this machine has no such address; it has 10\\.7\\.7\\.7$`),
    });
});

test('an interface stands for its first address of each family, link-local ones only without others', async () => {
  const options = {
    interfaces: interfaces({
      eth0: [['fe80::1'], ['169.254.1.1'], ['10.0.0.1'], ['10.0.0.2'], ['2001:db8::1']],
      eth1: [['fe80::2']],
      eth2: [['fe80::2'], ['10.0.0.9']],
    }),
  };
  assert.deepEqual((await findOwnHost('eth0', options)).listenAt, ['10.0.0.1', '2001:db8::1']);
  assert.deepEqual((await findOwnHost('eth2', options)).listenAt, ['10.0.0.9']);
  assert.deepEqual((await findOwnHost('eth1', options)).listenAt, ['fe80::2%eth1']);
});

test('a name that leads here is taken with both families, any other is refused', async () => {
  const answers: Record<string, readonly string[]> = {
    here: ['192.0.2.1', '127.0.0.5', '127.0.0.6', ...(hasIPv6 ? ['::1'] : [])],
    elsewhere: ['192.0.2.1'],
  };
  const options = {
    interfaces: interfaces({ eth0: [['10.0.0.1']] }),
    lookUp: async (host: string) => answers[host] ?? Promise.reject(new Error('no such host')),
  };
  assert.deepEqual((await findOwnHost('here', options)).listenAt, ['127.0.0.5', ...(hasIPv6 ? ['::1'] : [])]);
  await assert.rejects(findOwnHost('elsewhere', options), /host elsewhere leads to 192\.0\.2\.1, which is not of this/);
  await assert.rejects(findOwnHost('eth9', options), /host eth9 is no name that is known; .* \(eth0\), is wanted/);
});

test('where there is no address of a family only this machine is reached by it', () => {
  const own = new OwnHost(['10.0.0.1']);
  assert.equal(own.from('192.0.2.1'), '10.0.0.1');
  assert.equal(own.from('127.0.0.1'), '10.0.0.1');
  assert.equal(own.from('2001:db8::1'), null);
  assert.equal(own.from('64:ff9b::7f00:1'), null, 'loopback behind a translator is not this machine');
  assert.equal(own.from('::1'), undefined);
});
