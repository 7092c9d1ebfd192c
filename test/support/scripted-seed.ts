/**
 * A seed that listens for engines and answers as the test says: bad bytes, late, or not at all. One script for all its
 * connections.
 */
import net from 'node:net';
import type { Scope } from '../../lab/scope.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { writeBitfield, writeUnchoke } from '../../src/wire/encoder.js';
import { eventNumbers, RawPeer } from './raw-peer.js';

export interface ScriptedSeedOptions {
  readonly metainfo: Metainfo;
  /** All bytes of the torrent. */
  readonly bytes: Buffer;
  /** Local address; default 127.0.0.1. */
  readonly host?: string;
  /** 20 characters. */
  readonly peerId?: string;
  /** It takes and sends extension messages (BEP 10). */
  readonly extended?: boolean;
  /** What is sent for a request; null: nothing. Default: the good bytes. */
  readonly answer?: (piece: number, begin: number, good: Buffer, peer: RawPeer) => Buffer | null;
  /** It has the first so many; default: all. */
  readonly pieceCount?: number;
  /** After the bitfield. Default: unchoke. */
  readonly greet?: (peer: RawPeer) => void;
}

export interface ScriptedSeed {
  readonly host: string;
  readonly port: number;
  /** Every connection so far. */
  readonly peers: RawPeer[];
  /** "piece:begin" of every request, in order. */
  readonly requests: string[];
  /** Ends all connections and listens no more. */
  close(): Promise<void>;
}

export async function startScriptedSeed(scope: Scope, options: ScriptedSeedOptions, port = 0): Promise<ScriptedSeed> {
  const { metainfo, bytes, host = '127.0.0.1', peerId = '-XX0001-scriptedseed' } = options;
  const { pieceLengthBytes } = metainfo.geometry;
  const { pieceCount = metainfo.geometry.pieceCount } = options;
  const all = Buffer.alloc(Math.ceil(metainfo.geometry.pieceCount / 8));
  for (let piece = 0; piece < pieceCount; piece++) all[piece >> 3]! |= 0x80 >> (piece & 7);
  const peers: RawPeer[] = [];
  const requests: string[] = [];
  const onEvent = (peer: RawPeer, event: string): void => {
    if (!event.startsWith('request ')) return;
    const [piece, begin, length] = eventNumbers(event) as [number, number, number];
    requests.push(`${piece}:${begin}`);
    const start = piece * pieceLengthBytes + begin;
    const good = bytes.subarray(start, start + length);
    const payload = options.answer === undefined ? good : options.answer(piece, begin, good, peer);
    if (payload !== null) peer.sendBlock(piece, begin, payload);
  };
  const server = net.createServer({ noDelay: true }, (socket) => {
    const peer = new RawPeer(socket, { port: 0, metainfo, peerId, extended: options.extended ?? false, onEvent });
    peers.push(peer);
    writeBitfield(peer.out, all);
    if (options.greet === undefined) writeUnchoke(peer.out);
    else options.greet(peer);
    peer.flush();
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const close = async (): Promise<void> => {
    for (const peer of peers) peer.close();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  scope.defer(close);
  return { host, port: (server.address() as net.AddressInfo).port, peers, requests, close };
}

/** One byte of the block is wrong. */
export function spoilt(good: Buffer): Buffer {
  const bad = Buffer.from(good);
  bad[7]! ^= 0x01;
  return bad;
}
