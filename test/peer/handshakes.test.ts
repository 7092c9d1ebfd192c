/** The books of dials and links, with real sockets and a torrent that only counts. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { until, withDeadline } from '../../lab/wait.js';
import { Flusher } from '../../src/peer/flusher.js';
import { type Door, Handshakes, type HandshakesOptions } from '../../src/peer/handshakes.js';
import { encodeHandshake, HANDSHAKE_BYTES } from '../../src/wire/handshake.js';
import type { WireSink } from '../../src/wire/sink.js';

const DEADLINE_MS = 15_000;
const INFO_HASH = Buffer.alloc(20, 3);
const OURS = Buffer.from('-XX0001-ourselvesour', 'latin1');
const THEIRS = Buffer.from('-XX0001-somebodyelse', 'latin1');

/** Refuses everybody, as for a banned peer. */
class RefusingDoor implements Door {
  readonly infoHash = INFO_HASH;
  readonly isAdmitting: boolean = true;
  readonly opening: Promise<void> | null = null;
  readonly usesDht = false;
  readonly said: string[] = [];

  admit(link: Parameters<Door['admit']>[0]): null {
    this.said.push('admit');
    link.close('refused');
    return null;
  }

  dialFailed(): void {
    this.said.push('dial failed');
  }
}

function makeHandshakes(scope: Scope, door: Door | null, wake?: HandshakesOptions['wake']): Handshakes {
  const handshakes = new Handshakes({
    flusher: new Flusher(),
    peerId: OURS,
    maxConnections: 10,
    lookUp: () => door,
    wake,
    onEvent: () => {},
  });
  scope.defer(() => handshakes.close());
  return handshakes;
}

async function serve(scope: Scope, onSocket: (socket: net.Socket) => void, pauseOnConnect: boolean): Promise<number> {
  const server = net.createServer({ pauseOnConnect }, onSocket);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as net.AddressInfo).port;
}

const greeting = (peerId: Buffer, infoHash = INFO_HASH): Buffer =>
  encodeHandshake({ infoHash, peerId, extensions: { fast: false, extended: false } });

test('a dialled peer that is refused after its handshake is accounted for once', async (t) => {
  const scope = openScope(t);
  const door = new RefusingDoor();
  const handshakes = makeHandshakes(scope, door);
  const port = await serve(
    scope,
    (socket) => {
      socket.on('error', () => {});
      socket.write(greeting(THEIRS));
      socket.resume();
    },
    false,
  );
  handshakes.dial(door, '127.0.0.1', port);
  await until('it is refused', DEADLINE_MS, () => door.said.length > 0);
  await until('its link is gone', DEADLINE_MS, () => handshakes.connectionCount === 0);
  assert.deepEqual(door.said, ['admit']);
});

test('a dial that ends before the handshake has failed, once', async (t) => {
  const scope = openScope(t);
  const door = new RefusingDoor();
  const handshakes = makeHandshakes(scope, door);
  const port = await serve(scope, (socket) => void socket.destroy(), false);
  handshakes.dial(door, '127.0.0.1', port);
  await until('its link is gone', DEADLINE_MS, () => handshakes.connectionCount === 0);
  assert.deepEqual(door.said, ['dial failed']);
});

test('a peer that is refused still learns who refused it', async (t) => {
  const scope = openScope(t);
  const door = new RefusingDoor();
  const handshakes = makeHandshakes(scope, door);
  const port = await serve(scope, (socket) => handshakes.accept(socket), true);
  const socket = net.connect(port, '127.0.0.1');
  scope.defer(() => void socket.destroy());
  socket.on('error', () => {});
  const chunks: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => chunks.push(bytes));
  socket.write(greeting(THEIRS));
  await withDeadline(
    new Promise<void>((resolve) => socket.once('close', () => resolve())),
    'it is cut off',
    DEADLINE_MS,
  );
  const bytes = Buffer.concat(chunks);
  assert.equal(bytes.length, HANDSHAKE_BYTES);
  assert.ok(bytes.subarray(48).equals(OURS));
});

test('nothing is woken for who may not wait, and who is gone leaves its place to others', async (t) => {
  const scope = openScope(t);
  const asked: string[] = [];
  const leavers: string[] = [];
  const handshakes = makeHandshakes(scope, null, (infoHash, gone) => {
    const name = infoHash.toString('hex');
    asked.push(name);
    gone.addEventListener('abort', () => leavers.push(name));
    return new Promise(() => {});
  });
  const port = await serve(scope, (socket) => handshakes.accept(socket), true);
  let closed = 0;
  const crowd = (first: number): void => {
    for (let number = first; number < first + 10; number++) {
      const socket = net.connect(port, '127.0.0.1');
      scope.defer(() => void socket.destroy());
      socket.on('error', () => {});
      socket.resume();
      socket.once('close', () => closed++);
      socket.write(greeting(THEIRS, Buffer.alloc(20, number)));
    }
  };
  // Four of ten connections may wait.
  crowd(1);
  await until('the others are turned away', DEADLINE_MS, () => closed === 6);
  assert.equal(asked.length, 4);
  assert.deepEqual(leavers, []);
  handshakes.tick(performance.now() + 11_000);
  await until('nobody waits', DEADLINE_MS, () => handshakes.connectionCount === 0);
  assert.deepEqual(leavers.sort(), asked.sort());
  crowd(101);
  await until('the others are turned away', DEADLINE_MS, () => closed === 16);
  assert.equal(asked.length, 8);
  handshakes.close();
  await until('all are gone', DEADLINE_MS, () => handshakes.connectionCount === 0);
});

/** Its files are being prepared until `open`. */
class OpeningDoor implements Door {
  readonly infoHash = INFO_HASH;
  isAdmitting = false;
  readonly opening: Promise<void>;
  readonly usesDht = false;
  readonly said: string[] = [];
  readonly #scope: Scope;
  #resolve!: () => void;

  constructor(scope: Scope) {
    this.#scope = scope;
    this.opening = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  open(): void {
    this.isAdmitting = true;
    this.#resolve();
  }

  admit(link: Parameters<Door['admit']>[0]): WireSink {
    this.said.push('admit');
    this.#scope.defer(() => link.close('the test is over'));
    const ignore = (): void => {};
    link.handlers = {
      onConnected: ignore,
      onHandshake: () => null,
      onReadEnd: ignore,
      onSent: ignore,
      onClosed: ignore,
    };
    const { said } = this;
    return new Proxy({} as WireSink, { get: (_, name) => () => said.push(String(name)) });
  }

  dialFailed(_host: string, _port: number, _reason: string, wasReady: boolean): void {
    this.said.push(wasReady ? 'dial failed' : 'not ready');
  }
}

/** A peer that answers our dial and unchokes us at once. @returns what it heard */
async function eagerPeer(scope: Scope): Promise<{ port: number; heard: () => Buffer }> {
  const chunks: Buffer[] = [];
  const answer = (socket: net.Socket): void => {
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => chunks.push(bytes));
    const unchoke = Buffer.from([0, 0, 0, 1, 1]);
    socket.write(Buffer.concat([greeting(THEIRS), unchoke]));
  };
  return { port: await serve(scope, answer, false), heard: () => Buffer.concat(chunks) };
}

test('who was dialled while the files were prepared is let in when they are, and nothing is lost', async (t) => {
  const scope = openScope(t);
  const door = new OpeningDoor(scope);
  const handshakes = makeHandshakes(scope, door);
  const peer = await eagerPeer(scope);
  handshakes.dial(door, '127.0.0.1', peer.port);
  await until('we have greeted it', DEADLINE_MS, () => peer.heard().length === HANDSHAKE_BYTES);
  assert.deepEqual(door.said, []);
  door.open();
  await until('it has unchoked us', DEADLINE_MS, () => door.said.includes('onUnchoke'));
  assert.deepEqual(door.said, ['admit', 'onUnchoke']);
  assert.equal(peer.heard().length, HANDSHAKE_BYTES, 'it is greeted once');
});

test('who was dialled is let go when the files are not ready in time, and it is not its fault', async (t) => {
  const scope = openScope(t);
  const door = new OpeningDoor(scope);
  const handshakes = makeHandshakes(scope, door);
  const peer = await eagerPeer(scope);
  handshakes.dial(door, '127.0.0.1', peer.port);
  await until('we have greeted it', DEADLINE_MS, () => peer.heard().length === HANDSHAKE_BYTES);
  // Its answer may still be on its way: the reason tells.
  await until('it is let go', DEADLINE_MS, () => {
    handshakes.tick(performance.now() + 9_000);
    if (door.said.length === 0 && handshakes.parkedCount > 0) handshakes.tick(performance.now() + 11_000);
    return door.said.length > 0;
  });
  assert.deepEqual(door.said, ['not ready']);
  door.open();
  await until('its link is gone', DEADLINE_MS, () => handshakes.connectionCount === 0);
  assert.deepEqual(door.said, ['not ready']);
});
