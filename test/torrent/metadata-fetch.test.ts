/** Who keeps a place while the info dictionary is fetched: the real fetch among peers and a clock made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/config.js';
import type { PeerLink } from '../../src/peer/link.js';
import { type FetchEnvironment, MetadataFetch } from '../../src/torrent/magnet/metadata-fetch.js';
import { EXTENSIONS } from '../../src/torrent/peer-extensions.js';
import { OutBuffer } from '../../src/wire/encoder.js';
import { encodeExtendedHandshake } from '../../src/wire/extensions.js';
import type { Handshake } from '../../src/wire/handshake.js';
import { encodeMetadataHead } from '../../src/wire/metadata.js';
import type { WireSink } from '../../src/wire/sink.js';

interface Guest {
  /** What was said to it, since last asked. */
  readonly said: () => Buffer;
  readonly sink: WireSink | null;
  readonly closed: string[];
}

class Scene {
  nowMs = 0;
  readonly fetch: MetadataFetch;
  #guests = 0;

  constructor() {
    const silent = { start: () => {}, tick: () => {}, stop: async () => {}, abandon: () => {}, reports: () => [] };
    const environment = {
      log: () => {},
      now: () => this.nowMs,
      peerId: Buffer.alloc(20, 9),
      listenPort: null,
      makeAddresses: () => ({ count: 0, next: () => null, add: () => {} }),
      permits: () => true,
      resolveHost: async () => [],
      makeAnnounces: () => silent,
      makeSources: () => [],
    } as unknown as FetchEnvironment;
    const infoHash = Buffer.alloc(20, 1);
    this.fetch = new MetadataFetch({
      magnet: {
        infoHash,
        infoHashHex: infoHash.toString('hex'),
        displayName: null,
        trackers: [],
        webSeeds: [],
        peers: [],
        selectOnly: null,
        warnings: [],
      },
      trackers: [],
      peers: [],
      environment,
      dialler: { forget: () => {}, closeHandshakes: () => {} } as never,
      onMetadata: () => {},
      onTracker: () => {},
      onPeer: () => {},
    });
  }

  /** One that comes in. @param lengthBytes of the metadata that it says it has; null: it says nothing */
  comes(host: string, lengthBytes: number | null, peerId?: string): Guest {
    const closed: string[] = [];
    const n = ++this.#guests;
    const link = {
      host,
      port: n,
      address: `${host}:${n}`,
      isIncoming: true,
      isClosing: false,
      out: new OutBuffer(),
      handlers: null as unknown as { onClosed(link: unknown, reason: string): void },
      flush: () => {},
      touch: () => {},
      close(reason: string) {
        if (this.isClosing) return;
        this.isClosing = true;
        closed.push(reason);
        this.handlers?.onClosed(this, reason);
      },
    };
    const id = peerId === undefined ? Buffer.alloc(20, n + 20) : Buffer.from(peerId, 'latin1');
    const handshake = { peerId: id, supportsFast: true, supportsExtended: true };
    const sink = this.fetch.admit(link as unknown as PeerLink, handshake as Handshake);
    if (sink !== null && lengthBytes !== null) {
      const m = { ut_metadata: 3 };
      sink.onExtended(0, encodeExtendedHandshake({ m, version: 'test', reqq: 10, metadataSize: lengthBytes }));
    }
    return { sink, closed, said: () => link.out.take() };
  }

  seconds(count: number, each: () => void = () => {}): void {
    for (let i = 0; i < count; i++) {
      this.nowMs += 1000;
      each();
      this.fetch.tick(this.nowMs, true);
    }
  }
}

const dataOf = (piece: number, lengthBytes: number, bytes: number): Buffer =>
  Buffer.concat([encodeMetadataHead(piece, lengthBytes), Buffer.alloc(bytes)]);
const IDLE_SECONDS = LIMITS.metadataIdleMs / 1000;

test('who waits for its turn keeps its place', () => {
  const scene = new Scene();
  const lengthOf = (i: number): number => 60 * 16_384 + i;
  const slow = Array.from({ length: LIMITS.metadataCopies }, (_, i) => scene.comes(`192.0.2.${i}`, lengthOf(i)));
  const waiting = scene.comes('198.51.100.1', lengthOf(10));
  let piece = 0;
  // A piece a second of each: nobody is silent, and nobody ends.
  const give = (): void => {
    for (const [i, { sink }] of slow.entries()) {
      sink!.onExtended(EXTENSIONS.ut_metadata, dataOf(piece, lengthOf(i), 16_384));
    }
    piece++;
  };
  scene.seconds(IDLE_SECONDS - 1, give);
  scene.seconds(1);
  assert.deepEqual(waiting.closed, []);
});

test('data that nobody asked for keeps no place', () => {
  const scene = new Scene();
  const guest = scene.comes('192.0.2.1', null);
  scene.seconds(IDLE_SECONDS - 1, () => guest.sink!.onExtended(EXTENSIONS.ut_metadata, dataOf(0, 100, 100)));
  assert.deepEqual(guest.closed, []);
  scene.seconds(1);
  assert.deepEqual(guest.closed, ['has no metadata to give']);
});

test('one host fills all places only while no other wants one', () => {
  const scene = new Scene();
  const crowd = Array.from({ length: LIMITS.metadataPeers }, (_, i) => scene.comes('192.0.2.1', 20_000 + i));
  assert.equal(scene.fetch.peerCount, LIMITS.metadataPeers);
  assert.equal(scene.comes('192.0.2.1', 20_000).sink, null);
  for (let i = 2; i < 2 + LIMITS.metadataPeers - 1; i++) {
    assert.notEqual(scene.comes(`192.0.2.${i}`, 20_000).sink, null, `192.0.2.${i}`);
  }
  assert.equal(crowd.filter(({ closed }) => closed.length === 0).length, 1);
  assert.equal(scene.comes('198.51.100.1', 20_000).sink, null);
});

test('rTorrent is asked for one piece at a time, and others for several', () => {
  const scene = new Scene();
  const lengthBytes = 3 * 16_384;
  const requests = ({ said }: Guest): number => said().toString('latin1').split('8:msg_typei0e').length - 1;
  const others = scene.comes('192.0.2.1', lengthBytes, '-LT2080-somebodyelse');
  assert.equal(requests(others), 3);
  const alone = new Scene();
  const one = alone.comes('192.0.2.2', lengthBytes, '-lt0D80-somebodyelse');
  for (let piece = 0; piece < 2; piece++) {
    assert.equal(requests(one), 1, `piece ${piece}`);
    alone.seconds(2);
    assert.equal(requests(one), 0, 'no second one before the answer');
    one.sink!.onExtended(EXTENSIONS.ut_metadata, dataOf(piece, lengthBytes, 16_384));
  }
});

test('who comes in and gives metadata that is proven wrong is kept out for a time, and nobody else is', () => {
  const scene = new Scene();
  const liar = '-XX0001-metadataliar';
  const lie = (host: string, peerId: string): Guest => {
    const guest = scene.comes(host, 100, peerId);
    guest.sink?.onExtended(EXTENSIONS.ut_metadata, dataOf(0, 100, 100));
    return guest;
  };
  assert.deepEqual(lie('192.0.2.1', liar).closed, ['gave metadata that is not that of the torrent']);
  assert.deepEqual(scene.comes('192.0.2.1', 100, liar).closed, ['banned: it sent corrupt data']);
  assert.deepEqual(scene.comes('192.0.2.1', 100).closed, [], 'another one at its address');
  assert.deepEqual(scene.comes('192.0.2.2', 100, liar).closed, [], 'another one of its name');
  const { banned, bans } = scene.fetch.sources().addresses;
  assert.deepEqual([banned, bans.map(({ address }) => address)], [1, ['192.0.2.1:1']]);
  const leftMs = bans[0]!.until.getTime() - Date.now();
  assert.ok(leftMs > LIMITS.banFirstMs - 60_000 && leftMs <= LIMITS.banFirstMs, `${leftMs}`);
  assert.match(
    scene.fetch.bans.refusal('192.0.2.1', Buffer.from(liar), scene.nowMs) ?? '',
    /banned/,
    'the session is told',
  );
  scene.nowMs += LIMITS.banFirstMs + 1;
  assert.deepEqual(scene.comes('192.0.2.1', 100, liar).closed, []);
});

test('a slip of the protocol is no reason for a ban', () => {
  const scene = new Scene();
  const peerId = '-XX0001-careless0000';
  const guest = scene.comes('192.0.2.1', 100, peerId);
  guest.sink!.onExtended(EXTENSIONS.ut_metadata, Buffer.from('no bencode'));
  assert.equal(guest.closed.length, 1);
  assert.deepEqual(scene.comes('192.0.2.1', 100, peerId).closed, []);
  assert.equal(scene.fetch.sources().addresses.banned, 0);
});
