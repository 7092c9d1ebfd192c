/** The depot's HTTP door before a depository in memory, and raw connections to it. */
import net from 'node:net';
import type { TestContext } from 'node:test';
import type { DepotRequest } from '../../src/depot/api.js';
import { type DoorOptions, openDoor } from '../../src/depot/http/door.js';
import type { Inside } from '../../src/depot/http/inside.js';
import { Listeners } from '../../src/depot/http/listeners.js';
import { type Token, TokenTable } from '../../src/depot/http/tokens.js';
import { HttpConnections } from '../../src/tracker/http-connections.js';
import { MemoryDepository } from './memory-depository.js';

export interface TestDoor {
  readonly url: string;
  readonly port: number;
  readonly depository: MemoryDepository;
  readonly listeners: Listeners;
  readonly records: DepotRequest[];
  readonly troubles: unknown[];
  close(graceMs?: number): Promise<void>;
}

export interface TestDoorOptions {
  readonly tokens?: readonly Token[];
  readonly door?: Partial<DoorOptions>;
  readonly inside?: Partial<Inside>;
}

export async function openTestDoor(context: TestContext, options: TestDoorOptions = {}): Promise<TestDoor> {
  const depository = new MemoryDepository();
  const listeners = new Listeners();
  const records: DepotRequest[] = [];
  const troubles: unknown[] = [];
  const table = new TokenTable(options.tokens ?? []);
  const inside: Inside = {
    depository,
    catalogue: depository.catalogue,
    upcoming: (limit, isWanted) => depository.upcoming(limit, isWanted),
    tracker: null,
    passkeyOf: () => null,
    listeners,
    readiness: async () => [{ name: 'store', isReady: true, message: '' }],
    metrics: async () => ({ type: 'text/plain; version=0.0.4', text: 'depot_names 0\n' }),
    artifactBytesMax: 2 ** 40,
    version: '0.0.0',
    ...options.inside,
  };
  const server = await openDoor(inside, {
    host: '127.0.0.1',
    port: 0,
    allowHosts: [],
    corsOrigins: [],
    publicUrl: null,
    tokens: () => table,
    anonymous: options.tokens === undefined ? 'all' : 'read',
    certificate: null,
    connections: new HttpConnections(() => true),
    onRequest: (record) => records.push(record),
    onTrouble: (error) => troubles.push(error),
    wallClockMs: Date.now,
    now: () => performance.now(),
    ...options.door,
  });
  const close = (graceMs = 0): Promise<void> => {
    listeners.close();
    return server.close(graceMs);
  };
  context.after(() => close());
  const url = `http://127.0.0.1:${server.port}`;
  return { url, port: server.port, depository, listeners, records, troubles, close };
}

/** Sends these bytes; gives all that comes back until the other side ends it, or until `isEnough`. */
export function talk(
  port: number,
  bytes: string | Buffer,
  isEnough: (text: string) => boolean = () => false,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      if (isEnough(text)) socket.destroy();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
  });
}

/** One request with `connection: close`; gives status line, headers and body as text. */
export function ask(port: number, head: string, body: string | Buffer = ''): Promise<string> {
  const [first, ...headers] = head.split('\n');
  const host = headers.some((line) => /^host:/i.test(line)) ? [] : [`Host: 127.0.0.1:${port}`];
  const lines = [`${first} HTTP/1.1`, ...host, ...headers, 'Connection: close', '', ''];
  return talk(port, Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), Buffer.from(body)]));
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}
