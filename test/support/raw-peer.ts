/** A peer under the test's control: a real socket and our codec, but every message is the test's choice. */
import net from 'node:net';
import type { Scope } from '../../lab/scope.js';
import { withDeadline } from '../../lab/wait.js';
import type { Metainfo } from '../../src/metainfo/metainfo.js';
import { Decoder } from '../../src/wire/decoder.js';
import { OutBuffer, writePieceHeader } from '../../src/wire/encoder.js';
import { encodeHandshake, HANDSHAKE_BYTES } from '../../src/wire/handshake.js';
import { Recorder } from '../wire/recorder.js';

const DEADLINE_MS = 15_000;

export interface RawPeerOptions {
  readonly host?: string;
  readonly port: number;
  readonly metainfo: Metainfo;
  /** 20 characters. */
  readonly peerId: string;
  readonly fast?: boolean;
  readonly extended?: boolean;
  readonly dht?: boolean;
  /** Called for each decoded event, e.g. `request 3 0 16384`. */
  readonly onEvent?: (peer: RawPeer, event: string) => void;
}

export class RawPeer {
  readonly out = new OutBuffer();
  readonly recorder = new Recorder();
  /** The first 68 bytes of the other side, as far as they are here. */
  readonly handshake: number[] = [];
  /** Resolves when the other side has closed the connection. */
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #waiters: { accept: (event: string) => boolean; resolve: (event: string) => void }[] = [];

  constructor(socket: net.Socket, options: RawPeerOptions) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {}); // Being cut off is what many tests want; `closed` tells.
    const decoder = new Decoder(this.recorder);
    let skip = HANDSHAKE_BYTES;
    socket.on('data', (bytes: Buffer) => {
      const start = Math.min(skip, bytes.length);
      skip -= start;
      this.handshake.push(...bytes.subarray(0, start));
      if (start < bytes.length) decoder.push(bytes, start, bytes.length);
    });
    this.recorder.onEvent = (event) => {
      options.onEvent?.(this, event);
      for (const waiter of [...this.#waiters]) if (waiter.accept(event)) waiter.resolve(event);
    };
    const { metainfo, peerId, fast, extended, dht } = options;
    const extensions = { fast: fast ?? false, extended: extended ?? false, dht: dht ?? false };
    socket.write(encodeHandshake({ infoHash: metainfo.infoHash, peerId: Buffer.from(peerId, 'latin1'), extensions }));
  }

  /** The first event, past or future, that starts with `prefix`. */
  async event(prefix: string): Promise<string> {
    const accept = (event: string): boolean => event.startsWith(prefix);
    const past = this.recorder.events.find(accept);
    if (past !== undefined) return past;
    const found = new Promise<string>((resolve) => this.#waiters.push({ accept, resolve }));
    return withDeadline(
      found,
      `peer event "${prefix}", got: ${this.recorder.events.slice(-10).join('; ')}`,
      DEADLINE_MS,
    );
  }

  /** Sends what was written to `out`. */
  flush(): void {
    const bytes = this.out.take();
    if (bytes.length > 0) this.#socket.write(bytes);
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  sendBlock(piece: number, begin: number, payload: Uint8Array): void {
    writePieceHeader(this.out, piece, begin, payload.length);
    this.flush();
    this.#socket.write(payload);
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Connects to an engine and sends the handshake. */
export async function connectRawPeer(scope: Scope, options: RawPeerOptions): Promise<RawPeer> {
  const socket = net.connect({ host: options.host ?? '127.0.0.1', port: options.port, noDelay: true });
  scope.defer(() => void socket.destroy());
  await withDeadline(
    new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    }),
    'raw peer connects',
    DEADLINE_MS,
  );
  return new RawPeer(socket, options);
}

/** Parses `request PIECE BEGIN LENGTH` and its like. */
export function eventNumbers(event: string): number[] {
  return event.split(' ').slice(1).map(Number);
}
