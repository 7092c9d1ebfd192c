/** `EngineOptions.host`: what comes in and what goes out, all by one address of ours. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import http from 'node:http';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import { createEngine } from '../../src/engine/engine.js';
import { fileSet, startEngine, startSeed } from '../support/engines.js';

const DEADLINE_MS = 60_000;
const OWN = '127.0.0.42';

/** Servers of every kind, which note who comes. */
async function startWitnesses(scope: Scope) {
  const seen = { http: new Set<string>(), udp: new Set<string>(), peer: new Set<string>() };
  const web = http.createServer((request, response) => {
    seen.http.add(`${request.url!.split(/[/?]/)[1]} ${request.socket.remoteAddress}`);
    response.statusCode = 404;
    response.end();
  });
  const peer = net.createServer((socket) => {
    seen.peer.add(socket.remoteAddress!);
    socket.destroy();
  });
  const udp = createSocket('udp4').on('message', (_, { address }) => void seen.udp.add(address));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  scope.defer(() => {
    web.close();
    web.closeAllConnections();
    peer.close();
    udp.close();
  });
  const port = (server: net.Server): number => (server.address() as net.AddressInfo).port;
  return { seen, httpPort: port(web), peerPort: port(peer), udpPort: udp.address().port };
}

test('peers, trackers by HTTP and UDP, web seeds and the DHT see the address that was asked for', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000);
  const { seen, httpPort, peerPort, udpPort } = await startWitnesses(scope);
  const dht = { nodes: [{ host: '127.0.0.1', port: udpPort }] };
  const engine = await startEngine(scope, { host: OWN, dht });
  engine.add(set.metainfo, {
    output: await tempFolder(scope),
    trackers: [[`http://localhost:${httpPort}/named`]],
    webSeeds: [`http://127.0.0.1:${httpPort}/seed`],
    peers: [{ host: '127.0.0.1', port: peerPort }],
  });
  await until('all have come', DEADLINE_MS, () => seen.http.size >= 2 && seen.udp.size > 0 && seen.peer.size > 0);
  assert.deepEqual([...seen.http].sort(), [`named ${OWN}`, `seed ${OWN}`]);
  assert.deepEqual([[...seen.udp], [...seen.peer]], [[OWN], [OWN]]);
  await engine.close();
  const { seen: again, udpPort: tracker } = await startWitnesses(scope);
  const other = await startEngine(scope, { host: OWN });
  const output = await tempFolder(scope);
  other.add(set.metainfo, { output, trackers: [[`udp://127.0.0.1:${tracker}/announce`]] });
  await until('the tracker was asked', DEADLINE_MS, () => again.udp.size > 0);
  assert.deepEqual([...again.udp], [OWN]);
});

test('a name is listened at with all its families, and the DHT is opened there too', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000);
  const seed = await startSeed(scope, set, { host: 'localhost', dht: {} });
  assert.equal(seed.stats().dht!.port, seed.port);
  for (const { address: host } of await lookup('localhost', { all: true })) {
    const leech = await startEngine(scope, { host });
    const peers = [{ host, port: seed.port! }];
    const torrent = leech.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
    await withDeadline(torrent.done, `the download over ${host}`, DEADLINE_MS);
    await leech.close();
  }
});

test('the name of an interface will do', async (t) => {
  const scope = openScope(t);
  const [name] = Object.entries(networkInterfaces()).find(([, list]) => list?.some(({ internal }) => internal))!;
  const engine = await startEngine(scope, { host: name });
  assert.ok(engine.port! > 0);
});

test('a host that is not ours opens nothing, and says what there is', async () => {
  for (const options of [{}, { port: false }, { port: 0, dht: {} }] as const)
    await assert.rejects(createEngine({ host: '192.0.2.77', ...options }), {
      code: 'BAD_ARGUMENT',
      message: /^host 192\.0\.2\.77: this machine has no such address; it has .*127\.0\.0\.1/,
    });
  await assert.rejects(
    createEngine({ host: 'no-such-interface0' }),
    /is no name that is known; an address of this mach/,
  );
});

test('peers of a family of which there is no own address are not dialled', async (t) => {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000);
  const engine = await startEngine(scope, { host: '127.0.0.1' });
  const peers = [{ host: '2001:db8::1', port: 6881 }];
  const torrent = engine.add(set.metainfo, { output: await tempFolder(scope), trackers: [], peers });
  await until('it has failed', DEADLINE_MS, () => torrent.sources().addresses.failures.length > 0);
  assert.equal(
    torrent.sources().addresses.failures[0]!.reason,
    'the own address that was asked for is of another family',
  );
});
