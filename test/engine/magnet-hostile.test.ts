/** Metadata from several peers at once, most of them hostile, over real connections. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until, withDeadline } from '../../lab/wait.js';
import { formatMagnet } from '../../src/magnet/link.js';
import { writeExtended } from '../../src/wire/encoder.js';
import { encodeMetadataHead, encodeMetadataReject, parseMetadataMessage } from '../../src/wire/metadata.js';
import { type DataSet, fileSet, startEngine, startSeed } from '../support/engines.js';
import { RawPeer } from '../support/raw-peer.js';
import { encodeBencodeHandshake } from './handshake-bytes.js';

const DEADLINE_MS = 90_000;
const PIECE_BYTES = 16 * 1024;

interface Manner {
  /** What it says of the length, bencoded; null: nothing. */
  readonly size: (lengthBytes: number) => string | null;
  /** What it does when it is asked for a piece. */
  readonly asked: (peer: RawPeer, piece: number, metadata: Buffer) => void;
  /** After its handshake. */
  readonly greets?: (peer: RawPeer) => void;
}

const THEIRS = 7;
const OURS = 3;

function give(peer: RawPeer, piece: number, bytes: Buffer, total: number): void {
  writeExtended(peer.out, OURS, Buffer.concat([encodeMetadataHead(piece, total), bytes]));
  peer.flush();
}
const sliceOf = (metadata: Buffer, piece: number) => metadata.subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES);
const honestSize = (length: number) => `i${length}e`;
const silent = (): void => {};

const MANNERS: Readonly<Record<string, Manner>> = {
  liar: {
    size: honestSize,
    asked: (peer, piece, metadata) =>
      give(peer, piece, Buffer.alloc(sliceOf(metadata, piece).length, 'x'), metadata.length),
  },
  silent: { size: honestSize, asked: silent },
  rejects: {
    size: honestSize,
    asked: (peer, piece) => {
      writeExtended(peer.out, OURS, encodeMetadataReject(piece));
      peer.flush();
    },
  },
  zero: { size: () => 'i0e', asked: silent },
  negative: { size: () => 'i-1e', asked: silent },
  absurd: { size: () => 'i2147483648e', asked: silent },
  words: { size: () => '3:big', asked: silent },
  other: { size: (length) => `i${length + 1}e`, asked: silent },
  changes: {
    size: honestSize,
    asked: (peer, _piece, metadata) => {
      writeExtended(peer.out, 0, encodeBencodeHandshake(`i${metadata.length - 1}e`, THEIRS));
      peer.flush();
    },
  },
  floods: {
    size: honestSize,
    asked: (peer, _piece, metadata) => {
      for (let i = 0; i < 200; i++) give(peer, i % 5, Buffer.alloc(100), metadata.length);
    },
  },
  handshakes: {
    size: honestSize,
    asked: silent,
    greets: (peer) => {
      for (let i = 0; i < 100; i++) writeExtended(peer.out, 0, encodeBencodeHandshake('i99e', i));
      peer.flush();
    },
  },
  garbage: { size: honestSize, asked: silent, greets: (peer) => writeExtended(peer.out, OURS, Buffer.from('di1e')) },
  blocks: { size: honestSize, asked: silent, greets: (peer) => peer.sendBlock(0, 0, Buffer.alloc(PIECE_BYTES)) },
};

async function startHostile(scope: Scope, set: DataSet, name: string): Promise<{ host: string; port: number }> {
  const { size, asked, greets } = MANNERS[name]!;
  const metadata = set.metainfo.infoBytes;
  const server = net.createServer({ noDelay: true }, (socket) => {
    const onEvent = (peer: RawPeer, event: string): void => {
      const [kind, id, hex] = event.split(' ');
      if (kind !== 'extended' || Number(id) !== THEIRS) return;
      const message = parseMetadataMessage(Buffer.from(hex!, 'hex'));
      if (message !== null && 'type' in message && message.type === 'request') asked(peer, message.piece, metadata);
    };
    const peerId = `-XX0001-${name.padEnd(12, '0')}`.slice(0, 20);
    const peer = new RawPeer(socket, { port: 0, metainfo: set.metainfo, peerId, extended: true, onEvent });
    writeExtended(peer.out, 0, encodeBencodeHandshake(size(metadata.length), THEIRS));
    greets?.(peer);
    peer.flush();
    scope.defer(() => peer.close());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(() => void server.close());
  return { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
}

async function setOf(scope: Scope): Promise<DataSet> {
  return fileSet(scope, 2000 * PIECE_BYTES, { pieceLengthBytes: PIECE_BYTES });
}

test('one honest peer among one of each hostile kind is enough', async (t) => {
  const scope = openScope(t);
  const set = await setOf(scope);
  const hostile = await Promise.all(Object.keys(MANNERS).map((name) => startHostile(scope, set, name)));
  const seed = await startSeed(scope, set);
  const engine = await startEngine(scope);
  const peers = [...hostile, { host: '127.0.0.1', port: seed.port! }];
  const link = formatMagnet({ infoHash: set.metainfo.infoHash, peers });
  const magnet = engine.add(link, { output: await tempFolder(scope) });
  await withDeadline(magnet.done, 'the download ends', DEADLINE_MS);
});

test('hostile peers alone keep nobody busy: the honest one that comes late is enough, liars are banned', async (t) => {
  const scope = openScope(t);
  const set = await setOf(scope);
  const names = ['liar', 'silent', 'other', 'zero', 'rejects', 'changes'];
  const hostile = await Promise.all(names.map((name) => startHostile(scope, set, name)));
  const engine = await startEngine(scope);
  const link = formatMagnet({ infoHash: set.metainfo.infoHash, peers: hostile });
  const magnet = engine.add(link, { output: await tempFolder(scope) });
  const isBanned = () => magnet.sources().addresses.banned > 0;
  await until('the liar is banned', DEADLINE_MS, isBanned);
  const [ban] = magnet.sources().addresses.bans;
  assert.match(ban!.reason, /metadata that is not that of the torrent/);
  assert.equal(magnet.state, 'fetching');
  const seed = await startSeed(scope, set);
  magnet.addPeer('127.0.0.1', seed.port!);
  await withDeadline(magnet.done, 'the download ends', DEADLINE_MS);
});

test('a crowd that comes and says nothing keeps an honest one that comes later not out', async (t) => {
  const scope = openScope(t);
  const set = await setOf(scope);
  const engine = await startEngine(scope);
  const magnet = engine.add(formatMagnet({ infoHash: set.metainfo.infoHash }), { output: await tempFolder(scope) });
  const crowd: net.Socket[] = [];
  for (let i = 0; i < 60; i++) {
    const socket = net.connect({ host: '127.0.0.1', port: engine.port! });
    scope.defer(() => void socket.destroy());
    const peer = new RawPeer(socket, {
      port: 0,
      metainfo: set.metainfo,
      peerId: `-XX0001-${String(i).padStart(12, '0')}`,
      extended: true,
    });
    crowd.push(socket);
    peer.closed.catch(() => {});
  }
  await until('some are let in', DEADLINE_MS, () => magnet.stats().peers >= 16);
  assert.ok(magnet.stats().peers <= 17, `${magnet.stats().peers} peers`);
  const seed = await startEngine(scope);
  const peers = [{ host: '127.0.0.1', port: engine.port! }];
  seed.add(set.metainfo, { output: set.folder, mode: 'seed', trustData: true, trackers: [], peers });
  await withDeadline(magnet.done, 'the download ends', DEADLINE_MS);
});
