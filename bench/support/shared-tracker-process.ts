/**
 * The tracker of a depot as a process of its own: shared-tracker-process PORT URL|- HASH...
 * Serves these info-hashes (hex) only, by HTTP and UDP, and shares their peers by the Redis at URL; `-`: with nobody.
 * `GET /state` says what became of that. Prints "ready" when it listens; ends with SIGTERM.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { openPeers } from '../../src/depot/peers/open.js';
import { AnnounceDoor } from '../../src/tracker/announce-door.js';
import { TrackerService } from '../../src/tracker/service.js';
import { UdpDoor } from '../../src/tracker/udp-door.js';
import { UdpService } from '../../src/tracker/udp-service.js';

const HOST = '127.0.0.1';
const START_MS = 86_400_000;

const [port, url = '-', ...hashes] = process.argv.slice(2);
const now = (): number => performance.now() + START_MS;
const service = new TrackerService({ intervalS: 120, registeredOnly: true, random: Math.random, now });
for (const hash of hashes) service.register(Buffer.from(hash, 'hex'), null);
const peers = url === '-' ? null : await openPeers({ url, swarms: service.swarms, now, sharesLoopback: true });

const server = createServer((request, response) => {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const { remoteAddress = '', localAddress = '' } = request.socket;
  if (path === '/announce') response.end(service.announce(query, remoteAddress, () => localAddress));
  else if (path === '/scrape') response.end(service.scrape(query));
  else response.end(JSON.stringify({ ...peers?.state, peers: service.counts.peers }));
});
await new Promise<void>((resolve) => server.listen(Number(port), HOST, resolve));
const answer = (query: string, socket: { remoteAddress?: string | undefined }): Buffer =>
  service.announce(query, socket.remoteAddress ?? '', () => HOST);
const door = new AnnounceDoor(server, { idleTimeoutS: 60, answer });
const udpService = new UdpService(service, () => HOST);
const udp = await UdpDoor.open({ host: HOST, port: Number(port), service: udpService, secret: randomBytes(16), now });
setInterval(() => {
  service.sweep(2_000);
  door.tick();
}, 1_000).unref();
process.stdout.write('ready\n');
process.once('SIGTERM', () => {
  udp.close();
  void peers?.close().finally(() => process.exit(0));
  if (peers === null) process.exit(0);
});
