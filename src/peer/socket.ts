/**
 * Sockets that read into the one shared receive buffer of the process, dialled and accepted alike.
 * Takes private fields of Node.js (of its sockets only `gathered-writes.ts` and `tracker/raw-socket.ts` do too):
 * `net.Server` has no `onread`, so an accepted handle is re-wrapped in a new `net.Socket`. Where that is not possible
 * the plain 'data' event does the same, with copies.
 */
import net from 'node:net';
import { DEFAULTS } from '../config.js';
import { pageBuffer } from '../native/page-buffer.js';

/** Called with source[0, length) of the shared buffer; nothing may keep a view of it. Returns false to stop reading. */
export type OnBytes = (source: Buffer, length: number) => boolean;

/** Asked before each read: more bytes than that are left for the next. */
export type MostBytes = () => number;

const EVERYTHING: MostBytes = () => Number.POSITIVE_INFINITY;

let receiveBuffer: Buffer | null = null;

/** One buffer serves all sockets: libuv fills it and calls back before it reads the next socket. */
function sharedReceiveBuffer(): Buffer {
  receiveBuffer ??= pageBuffer(DEFAULTS.receiveBufferBytes);
  return receiveBuffer;
}

function onread(onBytes: OnBytes, mostBytes: MostBytes): net.OnReadOpts {
  const buffer = sharedReceiveBuffer();
  let view = buffer;
  const next = (): Buffer => {
    const length = Math.min(mostBytes(), buffer.length);
    if (length !== view.length) view = buffer.subarray(0, length);
    return view;
  };
  return { buffer: next, callback: (length: number) => onBytes(buffer, length) };
}

/**
 * Starts a TCP connection; 'connect', 'error' and 'close' are the caller's to listen to.
 * @param from one of our addresses; undefined: whichever the system takes
 */
export function connectSocket(
  host: string,
  port: number,
  onBytes: OnBytes,
  mostBytes = EVERYTHING,
  from?: string,
): net.Socket {
  const local = from === undefined ? {} : { localAddress: from };
  return net.connect({ host, port, ...local, noDelay: true, onread: onread(onBytes, mostBytes) });
}

interface ServerBound {
  _handle?: unknown;
  _server?: unknown;
  server?: unknown;
}

/**
 * Takes over a socket accepted by a server with `pauseOnConnect: true`. Reading starts when the caller calls
 * `resume()`. The server's connection count moves with it, so `server.close()` still waits for the new socket.
 */
export function adoptSocket(accepted: net.Socket, onBytes: OnBytes, mostBytes = EVERYTHING): net.Socket {
  const inner = accepted as net.Socket & ServerBound;
  const handle = inner._handle;
  if (handle === undefined || handle === null || inner._server === undefined) return readWithData(accepted, onBytes);
  const options = { handle, onread: onread(onBytes, mostBytes) } as unknown as net.SocketConstructorOpts;
  const socket = new net.Socket(options) as net.Socket & ServerBound;
  socket._server = inner._server;
  socket.server = inner._server;
  inner._handle = null;
  inner._server = null;
  inner.server = null;
  socket.setNoDelay(true);
  return socket;
}

/** Bytes of the write under way that the kernel has not taken yet. */
export function unsentBytes(socket: net.Socket): number {
  const handle = (socket as net.Socket & ServerBound)._handle as { writeQueueSize?: number } | null | undefined;
  return handle?.writeQueueSize ?? 0;
}

function readWithData(socket: net.Socket, onBytes: OnBytes): net.Socket {
  socket.setNoDelay(true);
  socket.on('data', (bytes: Buffer) => {
    if (!onBytes(bytes, bytes.length)) socket.pause();
  });
  return socket;
}
