/**
 * A foreign gateway: miniupnpd with nftables in a namespace, between us and another namespace that is "outside". It
 * speaks UPnP and NAT-PMP; what it maps is dialled from outside.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { startChild } from '../../lab/child.js';
import { addSecondAddress, type Namespace, newNamespace, openNamespace } from '../../lab/namespace.js';
import { accepts } from '../../lab/ports.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import type { Engine } from '../../src/api.js';
import { startEngine } from '../../src/engine/engine.js';
import { Igd } from '../../src/nat/igd.js';
import { NatPmp } from '../../src/nat/pmp.js';
import type { NatClock, PortMapper } from '../../src/nat/port-mapper.js';
import { OwnHost } from '../../src/net/own-host.js';
import { requireNamespaces, requirePrograms } from '../support/requirements.js';

const exec = promisify(execFile);
const DEADLINE_MS = 15_000;
const PROGRAMS = ['miniupnpd', 'nft'];
/** Public, or the gateway would see that it is behind another one; nothing of it leaves the namespaces. */
const OUTER = '11.22.33.44';
const SOAP_PORT = 5_000;

const RULES = `
table inet filter {
  chain forward { type filter hook forward priority 0; policy accept; jump miniupnpd; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    jump postrouting_miniupnpd
    oifname "eth0" masquerade
  }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
`;

interface Stage {
  readonly scope: Scope;
  readonly gateway: Namespace;
  /** The namespace that sees the gateway's outer address. */
  readonly outside: string;
}

async function stage(t: TestContext): Promise<Stage | null> {
  if ((await requireNamespaces(t)) || (await requirePrograms(t, PROGRAMS))) return null;
  const scope = openScope(t);
  const gateway = await openNamespace(scope);
  const { name } = gateway;
  const run = (...words: string[]) => exec('ip', ['netns', 'exec', name, ...words]);
  const refused = await run('nft', 'add', 'table', 'inet', 'probe').then(
    () => null,
    (error: Error) => error,
  );
  if (refused !== null) {
    t.skip('this kernel has no nftables; a gateway of ours shows it, too');
    return null;
  }
  const outside = await newNamespace(scope);
  await exec('ip', ['-n', name, 'link', 'add', 'wan0', 'type', 'veth', 'peer', 'name', 'wan0', 'netns', outside]);
  for (const [space, address] of [
    [name, OUTER],
    [outside, '11.22.33.1'],
  ] as const) {
    await exec('ip', ['-n', space, 'addr', 'add', `${address}/24`, 'dev', 'wan0']);
    await exec('ip', ['-n', space, 'link', 'set', 'wan0', 'up']);
  }
  const folder = await tempFolder(scope);
  const [rules, settings] = [path.join(folder, 'rules.nft'), path.join(folder, 'miniupnpd.conf')];
  await writeFile(rules, RULES);
  const lines = [
    'ext_ifname=wan0',
    `listening_ip=${gateway.address}/8`,
    `port=${SOAP_PORT}`,
    'enable_natpmp=yes',
    'enable_upnp=yes',
  ];
  lines.push('secure_mode=yes', 'upnp_nat_postrouting_chain=postrouting_miniupnpd');
  lines.push('uuid=fc4ec57e-b051-11db-88f8-0060085db3f6', 'allow 1024-65535 0.0.0.0/0 1024-65535', '');
  await writeFile(settings, lines.join('\n'));
  await run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  await run('nft', '-f', rules);
  const child = startChild(scope, 'miniupnpd', ['-d', '-P', path.join(folder, 'pid'), '-f', settings], {
    namespace: gateway,
  });
  await until('miniupnpd listens', DEADLINE_MS, () => accepts(gateway.address, SOAP_PORT)).catch((error: Error) => {
    throw new Error(`${error.message}\n${child.tail()}`);
  });
  return { scope, gateway, outside };
}

async function open(
  { scope, gateway }: Stage,
  makeMappers: (clock: NatClock, own: OwnHost) => readonly PortMapper[],
): Promise<Engine> {
  const host = gateway.hostAddress;
  const options = { port: 0, host, nat: { gateway: gateway.address }, threads: 1 };
  const engine = await startEngine(options, { makeMappers: (clock) => makeMappers(clock, new OwnHost([host])) });
  scope.defer(() => engine.close());
  await until('the port is mapped', DEADLINE_MS, () => engine.stats().nat?.protocol != null).catch((error: Error) => {
    throw new Error(`${error.message} ${JSON.stringify(engine.stats().nat)}`);
  });
  return engine;
}

/** Whether a connection comes about from outside. */
async function isReached(outside: string, port: number): Promise<boolean> {
  const script = `require('net').connect(${port}, '${OUTER}').on('connect', () => process.exit(0))
    .on('error', () => process.exit(1)).setTimeout(3000, () => process.exit(1))`;
  return exec('ip', ['netns', 'exec', outside, process.execPath, '-e', script]).then(
    () => true,
    () => false,
  );
}

const RANDOM = (): number => 0.5;
const WAYS = {
  'NAT-PMP':
    ({ gateway }: Stage) =>
    (clock: NatClock) => [new NatPmp({ gateway: gateway.address, from: gateway.hostAddress, clock })],
  UPnP:
    ({ gateway }: Stage) =>
    (clock: NatClock, own: OwnHost) => [new Igd({ gateway: gateway.address, own, clock, random: RANDOM })],
} as const;

for (const [protocol, make] of Object.entries(WAYS)) {
  test(`miniupnpd maps our port by ${protocol}: it is reached from outside until we go`, async (t) => {
    const place = await stage(t);
    if (place === null) return;
    const engine = await open(place, make(place));
    const { nat } = engine.stats();
    assert.deepEqual([nat?.protocol, nat?.externalAddress, nat?.message], [protocol, OUTER, '']);
    assert.equal(await isReached(place.outside, nat!.externalPort!), true);
    await engine.close();
    assert.equal(await isReached(place.outside, nat!.externalPort!), false);
  });
}

test('a port outside that is another host’s gives way to another one', async (t) => {
  const place = await stage(t);
  if (place === null) return;
  const first = await open(place, WAYS.UPnP(place));
  const taken = first.stats().nat!.externalPort!;
  const mapper = new Igd({
    gateway: place.gateway.address,
    own: new OwnHost([await addSecondAddress(place.gateway)]),
    clock: { now: () => performance.now(), later: (ms, call) => clearTimeout.bind(null, setTimeout(call, ms)) },
    random: RANDOM,
  });
  const never = new AbortController().signal;
  await mapper.find(never);
  const request = { protocol: 'tcp', internalPort: 7_777, externalPort: taken, lifetimeSeconds: 60 } as const;
  const mapped = await mapper.map(request, never);
  assert.notEqual(mapped.externalPort, taken);
  assert.equal(await isReached(place.outside, taken), true, 'the first mapping is as it was');
  await mapper.unmap(request, never);
  await mapper.close();
});
