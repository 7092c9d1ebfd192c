import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultGateway } from '../../src/nat/gateway.js';
import { locationOf, servicesOf, soapReply, soapRequest } from '../../src/nat/igd-messages.js';
import { decodeReply } from '../../src/nat/pmp-messages.js';
import { xmlLeaves } from '../../src/nat/xml.js';
import { description, envelope, fault, service, WAN_IP } from './gateways.js';

const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';

test('the gateway is that of the default route with the lowest metric', () => {
  const routes =
    'eth0\t00000000\t0101A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n' +
    'eth1\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n' +
    'eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n' +
    'tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n';
  assert.equal(defaultGateway(HEAD + routes), '10.0.0.1');
  const by = (device: string) => defaultGateway(HEAD + routes, device);
  assert.deepEqual([by('eth0'), by('eth1'), by('tun0'), by('eth2')], ['192.168.1.1', '10.0.0.1', null, null]);
  assert.equal(defaultGateway(HEAD), null);
  fc.assert(fc.property(fc.string(), (text) => assert.equal(defaultGateway(HEAD + text), null)));
});

test('replies of NAT-PMP: nothing throws, and lengths are exact', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const reply = decodeReply(bytes);
      if (reply === null || reply.kind === 'refusal') return;
      assert.equal(bytes.length, reply.kind === 'address' ? 12 : 16);
      assert.equal(bytes[0], 0);
    }),
  );
  assert.equal(decodeReply(Buffer.from('0081000300000010', 'hex'))!.kind, 'refusal');
});

test('a location is of the host that answers, and of a private network', () => {
  const reply = (location: string, st = WAN_IP): Buffer =>
    Buffer.from(`HTTP/1.1 200 OK\r\nST:${st}\r\nLOCATION:  ${location}\r\n\r\n`);
  const good = 'http://192.168.1.1:49152/x.xml';
  assert.equal(locationOf(reply(good), '192.168.1.1', null)?.href, good);
  assert.equal(locationOf(reply(good), '192.168.1.1', '192.168.1.1')?.href, good);
  const refused: readonly [Buffer, string, string | null][] = [
    [reply(good), '192.168.1.2', null],
    [reply(good), '192.168.1.1', '192.168.1.254'],
    [reply('http://8.8.8.8/'), '8.8.8.8', null],
    [reply('https://192.168.1.1/'), '192.168.1.1', null],
    [reply('http://a:b@192.168.1.1/'), '192.168.1.1', null],
    [reply('http://169.254.169.254/'), '192.168.1.1', null],
    [reply('http://router/'), '192.168.1.1', null],
    [reply(`http://192.168.1.1/${'a'.repeat(600)}`), '192.168.1.1', null],
    [reply(good, 'upnp:rootdevice'), '192.168.1.1', null],
    [Buffer.from('NOTIFY * HTTP/1.1\r\n\r\n'), '192.168.1.1', null],
  ];
  for (const [bytes, sender, gateway] of refused) assert.equal(locationOf(bytes, sender, gateway), null, `${bytes}`);
});

test('XML: names, nesting, text and the entities of XML; nothing else', () => {
  const leaves = xmlLeaves('<?xml version="1.0"?><!-- > --><a:r x="&gt;>"><b>1 &lt;&#65;&#x42;</b><c/></a:r>\n');
  assert.deepEqual(
    leaves?.map(({ path, text }) => [path.join('/'), text]),
    [
      ['r/b', '1 <AB'],
      ['r/c', ''],
    ],
  );
  const bad = [
    '',
    'x',
    '<a>',
    '<a></b>',
    '<a></a><b></b>',
    '<a>&b;</a>',
    '<a>&#0;</a>',
    '<a>& </a>',
    '<!DOCTYPE a><a/>',
    '<a><![CDATA[x]]></a>',
    '</a>',
    '<a><!-- </a>',
    '<a b="></a>',
    '<a'.repeat(100),
    `${'<a>'.repeat(40)}${'</a>'.repeat(40)}`,
    `<a>${'<b/>'.repeat(5000)}</a>`,
  ];
  for (const xml of bad) assert.equal(xmlLeaves(xml), null, xml.slice(0, 40));
});

test('XML: whatever comes nothing throws, in a time that grows with its length', () => {
  const token = fc.constantFrom(
    '<',
    '>',
    '/',
    'a',
    '</a>',
    '<a>',
    '<a/>',
    '&',
    ';',
    '#',
    '"',
    "'",
    '<!--',
    '-->',
    '<?',
    '?>',
  );
  fc.assert(fc.property(fc.array(token, { maxLength: 60 }), (tokens) => void xmlLeaves(tokens.join(''))));
  const url = new URL('http://10.0.0.1/');
  fc.assert(fc.property(fc.string(), (text) => assert.equal(servicesOf(text, url), null)));
  for (const part of ['<', '<a>', '<!--', '<a b="', '&', '<?', '"', '<a></a>', "<a x='>"]) {
    const xml = `<r>${part.repeat(Math.floor(65_536 / part.length))}`;
    const begin = process.cpuUsage();
    xmlLeaves(xml);
    const { user } = process.cpuUsage(begin);
    assert.ok(user < 500_000, `${part}: ${user} µs`);
  }
});

test('services of a description are of its host, the best kind first', () => {
  const at = new URL('http://10.0.0.1:5000/d/x.xml');
  const ppp = 'urn:schemas-upnp-org:service:WANPPPConnection:1';
  const found = servicesOf(description(service(ppp, 'ppp?a=1') + service(WAN_IP, 'http://10.0.0.1:80/ip')), at);
  assert.deepEqual(
    found?.map(({ type, control }) => [type, control.href]),
    [
      [WAN_IP, 'http://10.0.0.1/ip'],
      [ppp, 'http://10.0.0.1:5000/d/ppp?a=1'],
    ],
  );
  for (const control of [
    'http://10.0.0.2/',
    '//10.0.0.2/',
    'http://[::1]/',
    'ftp://10.0.0.1/',
    '',
    'http://10.0.0.1:0/',
  ])
    assert.deepEqual(servicesOf(description(service(WAN_IP, control)), at), [], control);
});

test('SOAP: what is said is escaped, answers are of the call, faults have a code', () => {
  assert.match(soapRequest(WAN_IP, 'X', { A: '<&"' }), /<A>&#60;&#38;&#34;<\/A>/);
  const reply = soapReply(envelope('<u:XResponse xmlns:u="y"><A>1</A></u:XResponse>'), 'X');
  assert.deepEqual(reply, { kind: 'result', values: new Map([['A', '1']]) });
  assert.equal(soapReply(envelope('<u:YResponse><A>1</A></u:YResponse>'), 'X'), null);
  assert.deepEqual(soapReply(fault(718), 'X'), { kind: 'fault', code: 718 });
  assert.equal(soapReply(envelope('<Fault><errorCode>x</errorCode></Fault>'), 'X'), null);
});
