import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { DEFAULTS } from '../../src/config.js';
import { HaulError } from '../../src/errors.js';
import { type Listener, listen } from '../../src/net/listen.js';
import { startEngine } from '../support/engines.js';

const HOST = '127.0.0.1';

async function open(scope: Scope, ports: readonly number[], host = HOST): Promise<Listener> {
  const listener = await listen({ ports, host, onSocket: (socket) => void socket.destroy(), onError: assert.fail });
  scope.defer(() => listener.close());
  return listener;
}

test('the first free port of a list is taken', async (t) => {
  const scope = openScope(t);
  const busy = await open(scope, [0]);
  const other = await open(scope, [busy.port, 0]);
  assert.notEqual(other.port, busy.port);
  assert.ok(other.port > 0);
});

test('when every port is taken the error names them and the option that chooses another', async (t) => {
  const scope = openScope(t);
  const first = await open(scope, [0]);
  const last = await open(scope, [0]);
  await assert.rejects(open(scope, [first.port, last.port]), (error: HaulError) => {
    assert.ok(error instanceof HaulError);
    assert.equal(error.code, 'PORT_IN_USE');
    assert.match(error.message, new RegExp(`${first.port}-${last.port}.*--port`));
    return true;
  });
});

test('an engine that is told no port takes a free one of 6881–6889', async (t) => {
  const scope = openScope(t);
  const { first, last } = DEFAULTS.portRange;
  assert.deepEqual([first, last], [6881, 6889]);
  // An address of its own, so that nobody else's ports matter but those of listeners on all addresses.
  const host = '127.0.7.1';
  const holder = net.createServer();
  await new Promise<void>((resolve) => {
    // Whether we hold it or somebody else does, it is taken.
    holder.once('error', () => resolve());
    holder.listen(first, host, resolve);
  });
  scope.defer(() => void holder.close());
  const engine = await startEngine(scope, { host, port: undefined });
  assert.ok(engine.port! > first && engine.port! <= last, `${engine.port}`);
});
