/** Engines whose ports a gateway maps: what trackers are told, what is left behind, and a gateway that will not. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openScope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { type EngineInternals, startEngine } from '../../src/engine/engine.js';
import { NatPmp } from '../../src/nat/pmp.js';
import { type PmpAnswer, pmpReply, udpGateway } from '../nat/gateways.js';
import { fileSet } from '../support/engines.js';

const DEADLINE_MS = 20_000;

async function scene(t: TestContext, answer: PmpAnswer) {
  const scope = openScope(t);
  const set = await fileSet(scope, 100_000, { pieceLengthBytes: 32 * 1024 });
  const told: string[] = [];
  const server = createServer((request, reply) => {
    const { searchParams } = new URL(request.url!, 'http://x');
    told.push(`${searchParams.get('ip')}:${searchParams.get('port')}`);
    reply.end('d8:intervali1800e5:peers0:e');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(() => void server.close());
  const gateway = await udpGateway((bytes) => pmpReply(bytes, answer));
  scope.defer(() => gateway.close());
  const internals: EngineInternals = {
    makeMappers: (clock) => [new NatPmp({ gateway: '127.0.0.1', port: gateway.port, clock })],
  };
  const trackers = [[`http://127.0.0.1:${(server.address() as AddressInfo).port}/announce`]];
  const start = async (announceAs?: { host?: string; port?: number }) => {
    const options = { port: 0, nat: {}, dht: {}, threads: 1, ...(announceAs === undefined ? {} : { announceAs }) };
    const engine = await startEngine(options, internals);
    scope.defer(() => engine.close());
    const torrent = engine.add(set.metainfo, { output: set.folder, mode: 'seed', trackers });
    return { engine, torrent };
  };
  return { start, told, gateway };
}

test('trackers are told the port and the address outside; at the end both ports are given back', async (t) => {
  const { start, told, gateway } = await scene(t, { port: 40_001 });
  const { engine } = await start();
  await until('the mapped port is told', DEADLINE_MS, () => told.includes('9.8.7.6:40001'));
  const nat = { protocol: 'NAT-PMP', externalPort: 40_001, externalAddress: '9.8.7.6', message: '' };
  assert.deepEqual(engine.stats().nat, nat);
  await engine.close();
  const deleted = gateway.heard.filter((bytes) => bytes.length === 12 && bytes.readUInt32BE(8) === 0);
  assert.deepEqual(
    deleted.map((bytes) => [bytes[1], bytes.readUInt16BE(4)]).sort(),
    [
      [1, engine.stats().dht!.port],
      [2, engine.port],
    ],
    'one of UDP, one of TCP',
  );
  assert.ok(told.at(-1)!.startsWith('9.8.7.6:'), 'the goodbye is of the same peer');
});

test('what the user says of the address and the port goes before what a gateway says', async (t) => {
  const { start, told } = await scene(t, { port: 40_001 });
  const { engine } = await start({ host: '5.6.7.8', port: 7000 });
  await until('it is mapped', DEADLINE_MS, () => engine.stats().nat?.externalPort === 40_001 && told.length > 0);
  await engine.close();
  assert.deepEqual([...new Set(told)], ['5.6.7.8:7000']);
});

test('a gateway that refuses is a line of health, and fails nothing', async (t) => {
  const { start, told } = await scene(t, { result: 2 });
  const { engine, torrent } = await start();
  await torrent.done;
  await until('it is told', DEADLINE_MS, () => torrent.stats().health.some(({ code }) => code === 'port-not-mapped'));
  const { message, isBlocking } = torrent.stats().health.find(({ code }) => code === 'port-not-mapped')!;
  assert.match(message, /^peers outside may not reach us: NAT-PMP gateway 127\.0\.0\.1: it does not allow that$/);
  assert.equal(isBlocking, false);
  await until('the tracker is told', DEADLINE_MS, () => told.length > 0);
  assert.equal(told[0], `null:${engine.port}`);
});
