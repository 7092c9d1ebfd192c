/** Depots of one store on S3 and one catalogue in PostgreSQL, and what they fetch from the store, counted. */
import { createHash } from 'node:crypto';
import net from 'node:net';
import { join } from 'node:path';
import type { S3Server } from '../../../lab/s3-server.js';
import type { Scope } from '../../../lab/scope.js';
import { startDepot } from '../../../src/depot/depot.js';
import { S3_LIMITS } from '../../../src/depot/store/s3/limits.js';
import { Objects } from '../../../src/depot/store/s3/objects.js';
import { parseS3Url } from '../../../src/depot/store/s3/place.js';
import { loadSdk } from '../../../src/depot/store/s3/sdk.js';
import type { Depot, DepotOptions } from '../../../src/index.js';
import { quickFolder } from '../quick-folder.js';
import { type FaultProxy, startFaultProxy } from '../s3/fault-proxy.js';

const SECRET = 'a-secret-of-the-runners';
export const HEADERS = { authorization: `Bearer ${SECRET}` };

export interface Family {
  readonly depots: readonly Depot[];
  /** Before the bucket: what goes through it is counted. */
  readonly proxy: FaultProxy;
  /** By which they know each other, of all that are named, whether they were started or not. */
  readonly addresses: readonly Address[];
  /** What is in the bucket about the store. */
  mark(): Promise<string>;
  /** Of depots that are started later. */
  start(index: number, more?: Partial<DepotOptions>): Promise<Depot>;
}

export interface FamilyOptions {
  readonly server: S3Server;
  readonly catalogue: string;
  readonly bytes: Buffer;
  /** How many start at once. */
  readonly count: number;
  /** Of one of them. */
  readonly more?: (index: number) => Partial<DepotOptions>;
}

/** Nothing is in their caches: the blob `a/image.raw` was published by one that is gone. */
export async function openFamily(scope: Scope, options: FamilyOptions): Promise<Family> {
  const { server, catalogue, bytes, count, more = () => ({}) } = options;
  const proxy = await startFaultProxy(scope, server.endpoint);
  const store = `s3://${server.bucket}/family?endpoint=${proxy.endpoint}`;
  const addresses = [await openAddress(scope), await openAddress(scope), await openAddress(scope)];
  const otherDepots = addresses.map(({ port }) => `http://127.0.0.1:${port}`);
  const start = async (index: number, other: Partial<DepotOptions> = {}): Promise<Depot> => {
    const common = { catalogue, store, tokenLines: `${SECRET} read,write,delete`, anonymous: 'none' } as const;
    const data = join(await quickFolder(scope), 'data');
    const own = { data, httpPort: 0, otherDepots, engine: { port: 0 } };
    const depot = await startDepot({ ...common, ...own, ...other });
    addresses[index]!.leadsTo = depot.port;
    scope.defer(() => depot.close(0));
    return depot;
  };
  const publisher = await start(0);
  const put = await fetch(`${publisher.url}/artifacts/a/image.raw`, { method: 'PUT', headers: HEADERS, body: bytes });
  if (put.status !== 201) throw new Error(`publish: ${put.status}`);
  await publisher.close(0);
  const depots = await Promise.all(Array.from({ length: count }, (_, index) => start(index, more(index))));
  const mark = async (): Promise<string> => {
    const objects = new Objects(await loadSdk(), parseS3Url(server.url('family')), S3_LIMITS);
    return String(await objects.ask('depot.json').finally(() => objects.close()));
  };
  proxy.sentBytes = 0;
  return { depots, proxy, addresses, start, mark };
}

/** A port that is known before its depot is there, and that nobody else takes meanwhile. */
export interface Address {
  readonly port: number;
  leadsTo: number | null;
}

async function openAddress(scope: Scope): Promise<Address> {
  const server = net.createServer((socket) => {
    const { leadsTo } = address;
    socket.on('error', () => {});
    if (leadsTo === null) {
      socket.destroy();
      return;
    }
    const onward = net.connect({ host: '127.0.0.1', port: leadsTo, allowHalfOpen: false });
    onward.on('error', () => socket.destroy());
    onward.on('close', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    socket.pipe(onward).pipe(socket);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const sockets = new Set<net.Socket>();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.defer(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address: Address = { port: (server.address() as net.AddressInfo).port, leadsTo: null };
  return address;
}

/** SHA-256 of what it gives, or the status. */
export async function digestFrom({ url }: Depot): Promise<string> {
  const answer = await fetch(`${url}/artifacts/a/image.raw`, { headers: HEADERS });
  if (answer.status !== 200 || answer.body === null) return String(answer.status);
  const hash = createHash('sha256');
  for await (const part of answer.body) hash.update(part);
  return hash.digest('hex');
}

/** Of its metrics; null: it has none such. */
export async function metricOf({ url }: Depot, name: string): Promise<number | null> {
  const text = await (await fetch(`${url}/metrics`, { headers: HEADERS })).text();
  const line = text.split('\n').find((one) => one.startsWith(`haul_depot_${name} `));
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1));
}
