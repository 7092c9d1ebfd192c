/** What connections to web servers may cost: those of a torrent lead to wherever its maker likes. */
import assert from 'node:assert/strict';
import type { lookup } from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { LIMITS } from '../../src/config.js';
import { EngineWebClients } from '../../src/engine/web-clients.js';
import type { HttpClient } from '../../src/net/http-client.js';

const DEADLINE_MS = 20_000;

/** Who says that its connections stay open for an hour; on all of 127/8. */
async function startServer(scope: Scope): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'keep-alive': 'timeout=3600', connection: 'keep-alive', 'content-length': 2 }).end('ok');
  });
  server.keepAliveTimeout = 3_600_000;
  server.on('connection', (socket) => {
    connections++;
    socket.once('close', () => connections--);
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

test('no server says for how long its connections are kept', async (t) => {
  const scope = openScope(t);
  const { port, connections } = await startServer(scope);
  const clients = new EngineWebClients({ idleMs: 10 });
  scope.defer(() => clients.destroy());
  const reply = await clients.any.request({ origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' });
  await reply.body.text();
  await until('it is closed', DEADLINE_MS, () => connections() === 0);
});

test('there are connections to so many servers at most, and those that are there go on', async (t) => {
  const scope = openScope(t);
  const { port, connections } = await startServer(scope);
  const clients = new EngineWebClients({ idleMs: 60_000 });
  scope.defer(() => clients.destroy());
  const ask = async (host: number): Promise<number> => {
    const origin = `http://127.0.1.${host}:${port}`;
    const { statusCode, body } = await clients.any.request({ origin, path: '/', method: 'GET' });
    await body.text();
    return statusCode;
  };
  for (let host = 0; host < LIMITS.webSeedOrigins; host++) assert.equal(await ask(host), 200);
  await assert.rejects(ask(LIMITS.webSeedOrigins), { code: 'UND_ERR_MAX_ORIGINS_REACHED' });
  assert.equal(await ask(0), 200);
  assert.equal(connections(), LIMITS.webSeedOrigins);
});

test('what a name leads to is looked at when it is connected to', async (t) => {
  const scope = openScope(t);
  const { port } = await startServer(scope);
  let address = '';
  const lookUp = ((_host: string, _options: object, callback: (error: null, found: object[]) => void) =>
    callback(null, [{ address, family: address.includes(':') ? 6 : 4 }])) as unknown as typeof lookup;
  const own = { address: '203.0.113.9', netmask: '', family: 'IPv4', mac: '', internal: false, cidr: null } as const;
  const clients = new EngineWebClients({ lookUp, interfaces: () => ({ eth0: [own] }) });
  scope.defer(() => clients.destroy());
  const ask = (client: HttpClient): Promise<unknown> =>
    client.request({ origin: `http://x.example:${port}`, path: '/', method: 'GET' });
  for (address of ['127.0.0.1', '0.0.0.0', '::1', '::ffff:127.0.0.1', '169.254.169.254', 'fe80::1']) {
    await assert.rejects(ask(clients.ofTrackers), { code: 'EPRIVATE' }, address);
    await assert.rejects(ask(clients.publicOnly), { code: 'EPRIVATE' }, address);
  }
  for (address of ['10.0.0.1', '203.0.113.9', '::ffff:203.0.113.9'])
    await assert.rejects(ask(clients.publicOnly), { code: 'EPRIVATE' });
  address = '127.0.0.1';
  const reply = await clients.any.request({ origin: `http://x.example:${port}`, path: '/', method: 'GET' });
  assert.equal(await reply.body.text(), 'ok');
});
