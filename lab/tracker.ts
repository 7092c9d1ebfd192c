/**
 * A throw-away HTTP tracker (BEP 3, compact peers of BEP 23) for steering foreign clients: it answers with the peers
 * the test pins plus, optionally, whoever announced, and tells what was announced. No limits, no expiry: not for real
 * use.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Scope } from './scope.js';
import { until } from './wait.js';

export interface PeerAddress {
  /** IPv4 in dotted form. */
  readonly host: string;
  readonly port: number;
}

export interface Announce extends PeerAddress {
  /** 40 hex digits. */
  readonly infoHashHex: string;
  readonly left: number;
  /** '' for a regular one. */
  readonly event: string;
  readonly userAgent: string;
  /** Null when nothing is said. */
  readonly zone: string | null;
}

/** `info_hash=%12...` to hex; URLSearchParams would decode it as UTF-8 and lose it. */
function rawParameter(url: string, name: string): Buffer {
  const text = new RegExp(`[?&]${name}=([^&]*)`).exec(url)?.[1] ?? '';
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}

function compact(peers: Iterable<PeerAddress>): Buffer {
  const bytes: number[] = [];
  for (const { host, port } of peers) bytes.push(...host.split('.').map(Number), port >> 8, port & 255);
  return Buffer.from(bytes);
}

export class TestTracker {
  /** Peers given to everybody. */
  readonly pinned: PeerAddress[] = [];
  readonly announces: Announce[] = [];
  /** With true, peers that announced are given out too. */
  isSwarm = false;
  port = 0;

  url(host = '127.0.0.1'): string {
    return `http://${host}:${this.port}/announce`;
  }

  /** Waits for an announce, past or future. */
  announced(what: string, timeoutMs: number, accept: (announce: Announce) => boolean): Promise<Announce> {
    return until(`announce: ${what}`, timeoutMs, () => this.announces.find(accept));
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? '';
    const query = new URL(url, 'http://tracker').searchParams;
    const announce: Announce = {
      host: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
      port: Number(query.get('port')),
      infoHashHex: rawParameter(url, 'info_hash').toString('hex'),
      left: Number(query.get('left')),
      event: query.get('event') ?? '',
      userAgent: request.headers['user-agent'] ?? '',
      zone: query.get('zone'),
    };
    this.announces.push(announce);
    const peers = compact(this.#peersFor(announce));
    const head = `d8:completei0e10:incompletei0e8:intervali1800e5:peers${peers.length}:`;
    response.setHeader('content-type', 'text/plain');
    response.end(Buffer.concat([Buffer.from(head), peers, Buffer.from('e')]));
  }

  #peersFor(asking: Announce): PeerAddress[] {
    const peers = [...this.pinned];
    if (!this.isSwarm) return peers;
    for (const { host, port, infoHashHex } of this.announces) {
      const isAsking = host === asking.host && port === asking.port;
      const isThere = peers.some((peer) => peer.host === host && peer.port === port);
      if (infoHashHex === asking.infoHashHex && !isAsking && !isThere) peers.push({ host, port });
    }
    return peers;
  }
}

/** Starts one on all IPv4 addresses and any port; closed with the scope. */
export async function startTestTracker(scope: Scope): Promise<TestTracker> {
  const tracker = new TestTracker();
  const server = createServer((request, response) => tracker.answer(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '0.0.0.0', resolve);
  });
  tracker.port = (server.address() as AddressInfo).port;
  scope.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return tracker;
}
