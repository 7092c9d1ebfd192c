/** Reads of real sockets: how much one may take, and that nothing is lost by taking less. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { withDeadline } from '../../lab/wait.js';
import { DEFAULTS } from '../../src/config.js';
import { Flusher } from '../../src/peer/flusher.js';
import { type LinkHandlers, PeerLink } from '../../src/peer/link.js';
import { adoptSocket, connectSocket, type OnBytes } from '../../src/peer/socket.js';
import { RateLimit, Throttle } from '../../src/peer/throttle.js';
import { encodeHandshake } from '../../src/wire/handshake.js';
import { Recorder } from '../wire/recorder.js';

const DEADLINE_MS = 15_000;
const HOST = '127.0.0.1';
/** No multiple of anything, so that a wrong place shows. */
const SENT = Buffer.from(Uint8Array.from({ length: 700_001 }, (_, i) => i % 251));

/** A port that calls back with each connection, paused. */
async function listen(scope: Scope, onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {});
    scope.defer(() => void socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  scope.defer(() => void server.close());
  return (server.address() as net.AddressInfo).port;
}

/** Gathers what was sent. At most 10,000 bytes may come at once, but from the 100,000th on as many as there are. */
class Reader {
  readonly reads: number[] = [];
  readonly done: Promise<Buffer>;
  readonly onBytes: OnBytes;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor() {
    let finish: (all: Buffer) => void;
    this.done = new Promise((resolve) => {
      finish = resolve;
    });
    this.onBytes = (source, length) => {
      this.reads.push(length);
      this.#chunks.push(Buffer.from(source.subarray(0, length)));
      this.#bytes += length;
      if (this.#bytes >= SENT.length) finish(Buffer.concat(this.#chunks));
      return true;
    };
  }

  readonly mostBytes = (): number => (this.#bytes < 100_000 ? 10_000 : Number.POSITIVE_INFINITY);

  async check(): Promise<void> {
    const all = await withDeadline(this.done, 'all bytes', DEADLINE_MS);
    assert.ok(all.equals(SENT), 'the bytes differ');
    const limited = this.reads.slice(0, 10);
    assert.ok(Math.max(...limited) <= 10_000, `${limited}`);
    assert.ok(Math.max(...this.reads) <= DEFAULTS.receiveBufferBytes);
    assert.ok(Math.max(...this.reads) > 10_000, 'small reads to the end');
  }
}

test('a dialled socket reads no more at once than it may, and all of it', async (t) => {
  const scope = openScope(t);
  const reader = new Reader();
  const port = await listen(scope, (socket) => void socket.write(SENT));
  const socket = connectSocket(HOST, port, reader.onBytes, reader.mostBytes);
  scope.defer(() => void socket.destroy());
  await reader.check();
});

test('so does an accepted one', async (t) => {
  const scope = openScope(t);
  const reader = new Reader();
  const port = await listen(scope, (accepted) => {
    const socket = adoptSocket(accepted, reader.onBytes, reader.mostBytes);
    scope.defer(() => void socket.destroy());
    socket.resume();
  });
  const sender = net.connect(port, HOST);
  scope.defer(() => void sender.destroy());
  sender.write(SENT);
  await reader.check();
});

/** Never dry: only the size of the reads is looked at. */
class Wet extends Throttle {
  readonly taken: number[] = [];
  onTaken: () => void = () => {};

  override get isDry(): boolean {
    return false;
  }

  override take(bytes: number): void {
    this.taken.push(bytes);
    this.onTaken();
  }
}

test('a link with a rate limit reads in steps of that limit', async (t) => {
  const scope = openScope(t);
  const infoHash = Buffer.alloc(20, 3);
  const handshake = encodeHandshake({
    infoHash,
    peerId: Buffer.alloc(20, 4),
    extensions: { fast: false, extended: false },
  });
  /** Keep-alives: four zero bytes each. */
  const rest = Buffer.alloc(400_000);
  let server: net.Socket | undefined;
  const port = await listen(scope, (socket) => {
    server = socket;
    socket.write(handshake);
  });
  const downloads = new Wet([new RateLimit(2e6, 0)]);
  const handlers: LinkHandlers = {
    onConnected: () => {},
    onHandshake: (link) => {
      link.downloads = downloads;
      server!.write(rest);
      return new Recorder();
    },
    onReadEnd: () => {},
    onSent: () => {},
    onClosed: () => {},
  };
  const link = PeerLink.dial(HOST, port, new Flusher(), handlers);
  scope.defer(() => link.close('the test is over'));
  const total = (): number => downloads.taken.reduce((sum, bytes) => sum + bytes, 0);
  const all = new Promise<void>((resolve) => {
    downloads.onTaken = () => {
      if (total() >= rest.length) resolve();
    };
  });
  await withDeadline(all, 'all bytes', DEADLINE_MS);
  assert.ok(Math.max(...downloads.taken) <= downloads.readBytes, `${Math.max(...downloads.taken)}`);
  assert.equal(downloads.readBytes, 20_000);
});
