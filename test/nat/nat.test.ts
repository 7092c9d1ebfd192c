import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Igd } from '../../src/nat/igd.js';
import { Nat } from '../../src/nat/nat.js';
import { systemMappers } from '../../src/nat/open.js';
import { NatPmp } from '../../src/nat/pmp.js';
import type { MappingRequest, PortMapper } from '../../src/nat/port-mapper.js';
import { addressTowards, searchGateway } from '../../src/nat/ssdp.js';
import { OwnHost } from '../../src/net/own-host.js';
import { description, FakeIgd, HandClock, type PmpAnswer, pmpReply, service, udpGateway } from './gateways.js';

const REQUEST: MappingRequest = { protocol: 'tcp', internalPort: 6881, externalPort: 6881, lifetimeSeconds: 3600 };
const never = new AbortController().signal;

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

async function pmpScene(t: TestContext, answer: (request: Buffer) => PmpAnswer | null) {
  const gateway = await udpGateway((bytes) => {
    const said = answer(bytes);
    return said === null ? null : pmpReply(bytes, said);
  });
  const clock = new HandClock();
  const mapper = new NatPmp({ gateway: '127.0.0.1', port: gateway.port, clock });
  t.after(async () => {
    await mapper.close();
    gateway.close();
  });
  return { gateway, clock, mapper };
}

async function igdScene(t: TestContext) {
  const igd = await FakeIgd.open();
  const clock = new HandClock();
  const mapper = new Igd({ gateway: '127.0.0.1', searchAt: igd.searchAt, clock, random: () => 0.5 });
  t.after(async () => {
    await mapper.close();
    await igd.close();
  });
  return { igd, clock, mapper };
}

/** What a search comes to; its pauses pass by themselves, those of an answer over HTTP do not. */
async function searched(mapper: PortMapper, clock: HandClock): Promise<string> {
  let outcome: string | null = null;
  void mapper.find(never).then(
    () => {
      outcome = 'found';
    },
    (error: Error) => {
      outcome = error.message;
    },
  );
  for (let turns = 1; outcome === null; turns++) {
    await turn();
    if (turns % 20 === 0 && (clock.pauses[0] ?? 5000) < 5000) clock.pass(clock.pauses[0]!);
  }
  return outcome;
}

function natOf(t: TestContext, mappers: readonly PortMapper[], clock: HandClock) {
  const lines: string[] = [];
  let changes = 0;
  const nat = new Nat({
    mappers,
    ports: [{ protocol: 'tcp', port: 6881 }],
    clock,
    log: (_level, message) => lines.push(message),
    onChange: () => changes++,
  });
  t.after(() => nat.close());
  return { nat, lines, changes: () => changes };
}

test('NAT-PMP: a port is mapped, and another one than asked is taken', async (t) => {
  const { gateway, mapper } = await pmpScene(t, () => ({ port: 7000, lifetime: 120 }));
  await mapper.find(never);
  assert.deepEqual(await mapper.map(REQUEST, never), { externalPort: 7000, lifetimeSeconds: 120 });
  assert.equal(gateway.heard[1]!.toString('hex'), '000200001ae11ae100000e10');
  assert.deepEqual(await mapper.check(never), { externalHost: '9.8.7.6', isRestarted: false });
});

test('NAT-PMP: a silent gateway is asked nine times with doubled pauses, and no more', async (t) => {
  const { gateway, clock, mapper } = await pmpScene(t, () => null);
  const found = mapper.find(never).then(
    () => 'found',
    (error: Error) => error.message,
  );
  for (let tries = 1; tries <= 9; tries++) {
    await until(() => gateway.heard.length === tries);
    assert.deepEqual(clock.pauses, [250 * 2 ** (tries - 1)]);
    clock.pass(250 * 2 ** (tries - 1));
  }
  assert.equal(await found, 'NAT-PMP gateway 127.0.0.1: does not answer');
  assert.equal(gateway.heard.length, 9);
});

test('NAT-PMP: refusals have words, and a reply of the wrong length or to something else is none', async (t) => {
  const { gateway, mapper } = await pmpScene(t, () => ({ result: 2 }));
  await assert.rejects(mapper.map(REQUEST, never), /it does not allow that/);
  gateway.socket.removeAllListeners('message');
  gateway.socket.on('message', (bytes, { port, address }) => {
    const good = pmpReply(bytes, { port: 7001 });
    const otherPort = Buffer.from(good);
    otherPort[8]! ^= 1;
    const odd = [Buffer.alloc(0), good.subarray(0, 15), Buffer.concat([good, good]), otherPort, bytes];
    for (const reply of [...odd, good]) gateway.socket.send(reply, port, address);
  });
  assert.equal((await mapper.map(REQUEST, never)).externalPort, 7001);
});

test('NAT-PMP: what comes from elsewhere is not heard', async (t) => {
  const stranger = await udpGateway(() => null);
  t.after(() => stranger.close());
  const { gateway, mapper } = await pmpScene(t, () => null);
  const mapped = mapper.map(REQUEST, never);
  const [bytes, { port, address }] = (await once(gateway.socket, 'message')) as [
    Buffer,
    { port: number; address: string },
  ];
  await new Promise((sent) => stranger.socket.send(pmpReply(bytes, { port: 6666 }), port, address, sent));
  gateway.socket.send(pmpReply(bytes, { port: 7002 }), port, address);
  assert.equal((await mapped).externalPort, 7002);
});

test('NAT-PMP: where nobody listens it is known at once', async (t) => {
  const { gateway, clock } = await pmpScene(t, () => null);
  const free = await udpGateway(() => null);
  free.close();
  const mapper = new NatPmp({ gateway: '127.0.0.1', port: free.port, clock });
  t.after(() => mapper.close());
  await assert.rejects(mapper.find(never), /does not speak it/);
  assert.equal(gateway.heard.length, 0);
});

test('a mapping is renewed at half its lifetime, made anew after a restart, and deleted at the end', async (t) => {
  let epoch = 1000;
  const asked: string[] = [];
  const { clock, mapper } = await pmpScene(t, (request) => {
    asked.push(request[1] === 0 ? 'address' : `map ${request.readUInt16BE(6)} for ${request.readUInt32BE(8)}`);
    return { epoch, lifetime: Math.min(request[1] === 0 ? 0 : request.readUInt32BE(8), 400) };
  });
  const { nat, lines, changes } = natOf(t, [mapper], clock);
  nat.start();
  await until(() => changes() === 1 && clock.pauses.length === 1);
  const { externalPort, externalAddress, protocol } = nat.report;
  assert.deepEqual([externalPort, externalAddress, protocol], [6881, '9.8.7.6', 'NAT-PMP']);
  assert.deepEqual(lines, ['NAT-PMP: peers outside reach us at port 6881 of 9.8.7.6']);
  const renewals = () => asked.filter((each) => each.startsWith('map')).length;
  for (const expected of [1, 1, 1, 2]) {
    epoch += clock.pauses[0]! / 1000;
    clock.pass(clock.pauses[0]!);
    await until(() => clock.pauses.length === 1 && clock.pauses[0]! > 250);
    assert.equal(renewals(), expected, `after ${clock.now()} ms`);
  }
  assert.equal(clock.now(), 200_000);
  epoch = 0;
  clock.pass(60_000);
  await until(() => renewals() === 3 && clock.pauses[0]! > 250);
  await nat.close();
  assert.equal(asked.at(-1), 'map 0 for 0');
  assert.equal(changes(), 1);
});

test('another port or address outside is told, and a private one is none', async (t) => {
  let [port, host] = [7000, [9, 8, 7, 6]];
  const { clock, mapper } = await pmpScene(t, () => ({ port, host }));
  const { nat, changes } = natOf(t, [mapper], clock);
  nat.start();
  await until(() => changes() === 1);
  [port, host] = [7001, [9, 8, 7, 5]];
  clock.pass(60_000);
  await until(() => changes() === 2);
  assert.deepEqual([nat.report.externalPort, nat.report.externalAddress], [7001, '9.8.7.5']);
  host = [192, 168, 1, 1];
  clock.pass(60_000);
  await until(() => changes() === 3);
  assert.deepEqual([nat.report.externalPort, nat.report.externalAddress], [7001, null]);
});

test('a failure is one line, told once; the mapping holds to its end, and a gateway that comes is found', async (t) => {
  let isThere = true;
  const { clock, mapper } = await pmpScene(t, () => (isThere ? {} : { result: 3 }));
  const { nat, lines, changes } = natOf(t, [mapper], clock);
  nat.start();
  await until(() => changes() === 1);
  isThere = false;
  const step = async (): Promise<void> => {
    clock.pass(clock.pauses[0]!);
    await until(() => clock.pauses.length === 1 && clock.pauses[0]! > 250);
  };
  await until(() => clock.pauses.length === 1);
  await step();
  assert.match(nat.report.message, /no address outside/);
  assert.equal(nat.report.externalPort, 6881);
  while (nat.report.externalPort !== null) await step();
  assert.ok(clock.now() >= 3_600_000 && clock.now() < 3_700_000, `${clock.now()}`);
  assert.equal(changes(), 2);
  assert.equal(lines.filter((line) => line.startsWith('ports are not mapped')).length, 1);
  isThere = true;
  await step();
  assert.deepEqual([nat.report.externalPort, nat.report.message, changes()], [6881, '', 3]);
});

test('the end takes two seconds with a gateway that has fallen silent', async (t) => {
  let isThere = true;
  const { gateway, clock, mapper } = await pmpScene(t, () => (isThere ? {} : null));
  const { nat, changes } = natOf(t, [mapper], clock);
  nat.start();
  await until(() => changes() === 1);
  isThere = false;
  const before = gateway.heard.length;
  const closed = nat.close();
  await until(() => gateway.heard.length > before);
  assert.ok(clock.pauses.includes(2000));
  clock.pass(2000);
  await closed;
});

test('one that refuses gives way to the other', async (t) => {
  const { mapper: pmp, clock } = await pmpScene(t, (request) => ({ result: request[1] === 0 ? 0 : 2 }));
  const { igd, mapper: upnp } = await igdScene(t);
  const { nat, changes } = natOf(t, [pmp, upnp], clock);
  nat.start();
  await until(() => changes() === 1);
  assert.equal(nat.report.protocol, 'UPnP');
  assert.deepEqual([...igd.mappings.keys()], ['TCP 6881']);
  await nat.close();
  assert.equal(igd.mappings.size, 0);
});

test('UPnP: a port is mapped for our own address, and unmapped', async (t) => {
  const { igd, mapper } = await igdScene(t);
  await mapper.find(never);
  assert.deepEqual(await mapper.map(REQUEST, never), { externalPort: 6881, lifetimeSeconds: 3600 });
  const { NewInternalClient, NewInternalPort, NewLeaseDuration } = igd.mappings.get('TCP 6881')!;
  assert.deepEqual([NewInternalClient, NewInternalPort, NewLeaseDuration], ['127.0.0.1', '6881', '3600']);
  assert.deepEqual(await mapper.check(never), { externalHost: '9.8.7.6', isRestarted: false });
  igd.mappings.clear();
  assert.deepEqual(await mapper.check(never), { externalHost: '9.8.7.6', isRestarted: true });
  await mapper.map(REQUEST, never);
  await mapper.unmap(REQUEST, never);
  assert.equal(igd.mappings.size, 0);
});

test('UPnP: a port that is taken gives way to another, and only permanent leases are taken too', async (t) => {
  const { igd, mapper } = await igdScene(t);
  await mapper.find(never);
  igd.refuse = ({ NewExternalPort, NewLeaseDuration }) =>
    NewExternalPort === '6881' ? 718 : NewLeaseDuration === '0' ? null : 725;
  const { externalPort, lifetimeSeconds } = await mapper.map(REQUEST, never);
  assert.deepEqual([externalPort, lifetimeSeconds], [57_344, Number.POSITIVE_INFINITY]);
  igd.refuse = () => 718;
  await assert.rejects(mapper.map(REQUEST, never), /the port is taken/);
  // What was refused is another's, and stays.
  await mapper.unmap(REQUEST, never);
  assert.ok(!igd.calls.includes('DeletePortMapping'));
});

test('UPnP: of several lines the one that has an address is used', async (t) => {
  const { igd, clock, mapper } = await igdScene(t);
  igd.description = description(service('urn:schemas-upnp-org:service:Layer3Forwarding:1') + service());
  await mapper.find(never);
  igd.externalHost = '';
  igd.description = description(service() + service('urn:schemas-upnp-org:service:WANPPPConnection:1', '/other'));
  assert.match(await searched(mapper, clock), /maps no ports/);
});

test('UPnP: nobody sends us to another host, and hostile descriptions end in one line', async (t) => {
  const { igd, clock, mapper } = await igdScene(t);
  const bomb = '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>';
  const bodies = [
    description(service(), bomb),
    description(service(undefined, 'http://127.0.0.2/ctl')),
    description(service(undefined, 'file:///etc/passwd')),
    '<a>'.repeat(20_000),
    'x'.repeat(70_000),
    '',
    '{}',
  ];
  for (const body of bodies) {
    igd.description = body;
    const message = await searched(mapper, clock);
    assert.match(
      message,
      /description that can be read|maps no ports|answers more than|no gateway answers/,
      body.slice(0, 50),
    );
    assert.equal(igd.calls.length, 0);
  }
  igd.description = description(service());
  let isAsked = false;
  igd.location = () => {
    isAsked = true;
    return `http://127.0.0.2:${igd.httpPort}/`;
  };
  const stop = new AbortController();
  const found = mapper.find(stop.signal);
  found.catch(() => {});
  await until(() => isAsked);
  for (let n = 0; n < 20; n++) await turn();
  stop.abort();
  await assert.rejects(found, /given up/);
});

test('UPnP: a gateway that is silent over HTTP is given up after five seconds', async (t) => {
  const { igd, clock, mapper } = await igdScene(t);
  await mapper.find(never);
  igd.isSilent = true;
  const mapped = mapper.map(REQUEST, never);
  mapped.catch(() => {});
  await until(() => clock.pauses.length === 1);
  clock.pass(5000);
  await assert.rejects(mapped, /does not answer/);
});

test('a gateway is asked from the address of ours that the user named, and by IPv4 only', async (t) => {
  const seen: string[] = [];
  const pmp = await udpGateway((bytes, from) => {
    seen.push(from.address);
    return pmpReply(bytes);
  });
  t.after(() => pmp.close());
  const clock = new HandClock();
  const mapper = new NatPmp({ gateway: '127.0.0.1', port: pmp.port, from: '127.0.0.7', clock });
  t.after(() => mapper.close());
  await mapper.find(never);
  const location = 'http://127.0.0.1:9/desc.xml';
  const ssdp = await udpGateway((_bytes, from) => {
    seen.push(from.address);
    return Buffer.from(
      `HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: ${location}\r\n\r\n`,
    );
  });
  t.after(() => ssdp.close());
  const to = { host: '127.0.0.1', port: ssdp.port };
  const search = { to, gateway: null, clock, tried: new Set<string>() };
  assert.equal((await searchGateway({ ...search, from: '127.0.0.8' }, never)).href, location);
  assert.equal(await addressTowards(to, '127.0.0.9'), '127.0.0.9');
  assert.deepEqual([...new Set(seen)], ['127.0.0.7', '127.0.0.8']);
  await assert.rejects(searchGateway({ ...search, from: '192.0.2.77' }, never), /cannot search/);
  await assert.rejects(addressTowards(to, '192.0.2.77'), /cannot reach/);
  const away = new NatPmp({ gateway: '127.0.0.1', port: pmp.port, from: '192.0.2.77', clock });
  await assert.rejects(away.find(never), /cannot be asked/);
  await away.close();
  const random = (): number => 0.5;
  assert.deepEqual(await systemMappers('10.0.0.1', clock, random, new OwnHost(['::1'])), []);
  const both = await systemMappers('10.0.0.1', clock, random, new OwnHost(['127.0.0.7']));
  assert.deepEqual(
    both.map(({ name }) => name),
    ['NAT-PMP', 'UPnP'],
  );
  await Promise.all(both.map((each) => each.close()));
});
