/**
 * A bad peer of the bench `depot-company`, by the real wire protocol:
 *   company-peer TORRENT FILE --host ADDRESS --manner MANNER [--ghosts N]
 * It listens, announces itself to the torrent's tracker as one who misses data, dials all whom that names, and says
 * "ready". FILE holds the bytes of the torrent.
 *   nothing  says that it has all, lets everybody ask, and gives nothing
 *   one      one good block, then nothing
 *   drip     a good block every four seconds
 *   bad      good blocks, but one of 64 has a wrong byte
 *   taker    asks for what others have, as fast as it comes, tells of it, and gives nothing
 *   mute     as taker, but tells nobody what it has
 *   ghosts   the tracker is told of so many peers, at ports where nobody listens
 */
import { openSync, readFileSync, readSync } from 'node:fs';
import net from 'node:net';
import { parseArgs } from 'node:util';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { parseTorrent } from '../../src/metainfo/torrent.js';
import { Decoder } from '../../src/wire/decoder.js';
import {
  OutBuffer,
  writeHave,
  writeHaveAll,
  writeHaveNone,
  writeInterested,
  writePieceHeader,
  writeRequest,
  writeUnchoke,
} from '../../src/wire/encoder.js';
import { encodeHandshake, HANDSHAKE_BYTES } from '../../src/wire/handshake.js';
import type { WireSink } from '../../src/wire/sink.js';

const ANNOUNCE_MS = 5_000;
const DRIP_MS = 4_000;
const FIRST_GHOST_PORT = 10_000;
const BAD_EVERY = 64;
/** Blocks that a taker has asked of one peer. */
const DEPTH = 64;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    manner: { type: 'string', default: 'nothing' },
    ghosts: { type: 'string', default: '0' },
  },
});
const { host, manner } = values;
const metainfo = parseTorrent(readFileSync(positionals[0]!));
const { geometry } = metainfo;
const data = openSync(positionals[1]!, 'r');
const makeId = (): Buffer => Buffer.from(`-XX0001-${crypto.randomUUID().slice(-12)}`);
const peerId = makeId();
const isTaker = manner === 'taker' || manner === 'mute';
const links = new Map<string, Link>();
const blocksPerPiece = Math.ceil(geometry.pieceLengthBytes / BLOCK_LENGTH_BYTES);
const got = new Set<number>();
const asked = new Set<number>();

class Link implements WireSink {
  readonly #socket: net.Socket;
  readonly #out = new OutBuffer();
  readonly #has = new Set<number>();
  #isChoking = true;
  #pending = new Set<number>();
  #arriving = -1;
  #given = 0;
  #dripMs = 0;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    const decoder = new Decoder(this);
    let skip = HANDSHAKE_BYTES;
    socket.on('data', (bytes: Buffer) => {
      const start = Math.min(skip, bytes.length);
      skip -= start;
      if (start < bytes.length) decoder.push(bytes, start, bytes.length);
      this.flush();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const block of this.#pending) asked.delete(block);
      for (const [key, link] of links) if (link === this) links.delete(key);
    });
    const extensions = { fast: true, extended: false, dht: false };
    socket.write(encodeHandshake({ infoHash: metainfo.infoHash, peerId, extensions }));
    if (isTaker) {
      writeHaveNone(this.#out);
      writeInterested(this.#out);
    } else {
      writeHaveAll(this.#out);
      writeUnchoke(this.#out);
    }
    this.flush();
  }

  flush(): void {
    const bytes = this.#out.take();
    if (bytes.length > 0) this.#socket.write(bytes);
  }

  tell(piece: number): void {
    writeHave(this.#out, piece);
    this.flush();
  }

  ask(): void {
    if (!isTaker || this.#isChoking) return;
    for (const piece of this.#has) {
      for (let block = 0; block < blocksPerPiece; block++) {
        if (this.#pending.size >= DEPTH) return;
        const index = piece * blocksPerPiece + block;
        const begin = block * BLOCK_LENGTH_BYTES;
        const length = Math.min(BLOCK_LENGTH_BYTES, geometry.pieceLength(piece as PieceIndex) - begin);
        if (length <= 0 || got.has(index) || asked.has(index)) continue;
        asked.add(index);
        this.#pending.add(index);
        writeRequest(this.#out, piece, begin, length);
      }
    }
  }

  onKeepAlive(): void {}
  onChoke(): void {
    this.#isChoking = true;
    for (const block of this.#pending) asked.delete(block);
    this.#pending.clear();
  }
  onUnchoke(): void {
    this.#isChoking = false;
    this.ask();
  }
  onInterested(): void {}
  onNotInterested(): void {}
  onHave(piece: number): void {
    this.#has.add(piece);
    this.ask();
  }
  onBitfield(bits: Uint8Array): void {
    for (let piece = 0; piece < geometry.pieceCount; piece++)
      if ((bits[piece >> 3]! & (0x80 >> (piece & 7))) !== 0) this.#has.add(piece);
    this.ask();
  }
  onRequest(piece: number, begin: number, length: number): void {
    if (isTaker || manner === 'nothing') return;
    if (manner === 'one' && this.#given > 0) return;
    if (manner === 'drip' && performance.now() - this.#dripMs < DRIP_MS) return;
    this.#dripMs = performance.now();
    const bytes = Buffer.alloc(length);
    readSync(data, bytes, 0, length, piece * geometry.pieceLengthBytes + begin);
    if (manner === 'bad' && this.#given % BAD_EVERY === BAD_EVERY - 1) bytes[9]! ^= 1;
    this.#given++;
    writePieceHeader(this.#out, piece, begin, length);
    this.flush();
    this.#socket.write(bytes);
  }
  onCancel(): void {}
  onBlockBegin(piece: number, begin: number): void {
    this.#arriving = piece * blocksPerPiece + begin / BLOCK_LENGTH_BYTES;
  }
  onBlockBytes(): void {}
  onBlockEnd(): void {
    this.#pending.delete(this.#arriving);
    got.add(this.#arriving);
    const piece = Math.floor(this.#arriving / blocksPerPiece);
    this.ask();
    if (manner !== 'taker') return;
    const count = Math.ceil(geometry.pieceLength(piece as PieceIndex) / BLOCK_LENGTH_BYTES);
    for (let block = 0; block < count; block++) if (!got.has(piece * blocksPerPiece + block)) return;
    for (const link of links.values()) link.tell(piece);
  }
  onPort(): void {}
  onSuggest(): void {}
  onHaveAll(): void {
    for (let piece = 0; piece < geometry.pieceCount; piece++) this.#has.add(piece);
    this.ask();
  }
  onHaveNone(): void {}
  onReject(piece: number, begin: number): void {
    const block = piece * blocksPerPiece + begin / BLOCK_LENGTH_BYTES;
    if (this.#pending.delete(block)) asked.delete(block);
    this.ask();
  }
  onAllowedFast(): void {}
  onExtended(): void {}
}

/** The addresses that the tracker answers, as host and port. */
async function announce(id: Buffer, port: number): Promise<[string, number][]> {
  const [tracker] = metainfo.trackers.flat();
  const escaped = (bytes: Uint8Array) => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  const query = `info_hash=${escaped(metainfo.infoHash)}&peer_id=${escaped(id)}&port=${port}&uploaded=0`;
  const url = `${tracker}?${query}&downloaded=0&left=${geometry.lengthBytes}&compact=1&numwant=200`;
  const reply = Buffer.from(await (await fetch(url)).arrayBuffer());
  const at = reply.indexOf('5:peers') + 7;
  const colon = reply.indexOf(':', at);
  const peers = reply.subarray(colon + 1, colon + 1 + Number(reply.toString('latin1', at, colon)));
  return Array.from({ length: Math.floor(peers.length / 6) }, (_, index) => {
    const one = peers.subarray(index * 6, index * 6 + 6);
    return [[...one.subarray(0, 4)].join('.'), one.readUInt16BE(4)];
  });
}

async function dialAll(port: number): Promise<void> {
  for (const [address, peerPort] of await announce(peerId, port)) {
    if (address === host || links.has(address)) continue;
    links.set(address, new Link(net.connect({ host: address, port: peerPort, localAddress: host })));
  }
}

async function listen(): Promise<void> {
  const server = net.createServer((socket) => {
    links.set(socket.remoteAddress!.replace('::ffff:', ''), new Link(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as net.AddressInfo;
  await dialAll(port);
  setInterval(() => void dialAll(port).catch(() => {}), ANNOUNCE_MS);
}

if (manner === 'ghosts') {
  for (let ghost = 0; ghost < Number(values.ghosts); ghost++) await announce(makeId(), FIRST_GHOST_PORT + ghost);
  setInterval(() => {}, ANNOUNCE_MS);
} else await listen();
process.stdout.write('ready\n');
