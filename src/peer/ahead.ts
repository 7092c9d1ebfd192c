/**
 * Connections that a command begins as soon as it knows whom its user named: TCP's round trip passes while the engine
 * is being loaded. Whoever dials that address first gets the connection, as one that has just begun (`socket.ts`).
 * Nothing is sent or read before. What nobody takes in time is closed; one that fails is forgotten, so whoever dials
 * then dials anew and hears the reason. They do not keep the process alive.
 */
import net from 'node:net';

/** Loading takes a fraction of it, and a peer waits longer for a stranger's first words. */
const PATIENCE_MS = 3_000;
/** The first read goes here: a handshake and a little more. */
const FIRST_READ_BYTES = 4096;

/** Who takes the connection: where the next read goes, and what becomes of it (false: stop reading). */
export interface Taker {
  readonly buffer: () => Buffer;
  readonly onBytes: (source: Buffer, length: number) => boolean;
}

interface Ahead {
  readonly socket: net.Socket;
  take(taker: Taker): void;
}

const waiting = new Map<string, Ahead>();

const keyOf = (host: string, port: number): string => `${host} ${port}`;

/**
 * @param host an address; a name is left to who looks it up
 * @param patienceMs how long it waits to be taken
 */
export function connectAhead(host: string, port: number, patienceMs = PATIENCE_MS): void {
  const key = keyOf(host, port);
  if (net.isIP(host) === 0 || waiting.has(key)) return;
  const first = Buffer.allocUnsafe(FIRST_READ_BYTES);
  let taker: Taker | null = null;
  const onread: net.OnReadOpts = {
    buffer: () => taker?.buffer() ?? first,
    callback: (length, source) => taker!.onBytes(source as Buffer, length),
  };
  const socket = net.connect({ host, port, noDelay: true, onread });
  socket.pause();
  socket.unref();
  const timer = setTimeout(() => socket.destroy(), patienceMs).unref();
  const forget = (): void => {
    clearTimeout(timer);
    if (waiting.get(key)?.socket === socket) waiting.delete(key);
  };
  socket.once('error', forget);
  socket.once('close', forget);
  const take = (by: Taker): void => {
    forget();
    socket.off('error', forget);
    socket.off('close', forget);
    taker = by;
  };
  waiting.set(key, { socket, take });
}

/** The connection to that address with 'connect' still to come, or null. Its listeners are the caller's. */
export function takeAhead(host: string, port: number, taker: Taker): net.Socket | null {
  const ahead = waiting.size === 0 ? undefined : waiting.get(keyOf(host, port));
  if (ahead === undefined || ahead.socket.destroyed) return null;
  const { socket } = ahead;
  ahead.take(taker);
  socket.ref();
  if (!socket.connecting) process.nextTick(() => socket.destroyed || socket.emit('connect'));
  socket.resume();
  return socket;
}
