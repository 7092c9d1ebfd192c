/** The transfers of the matrix, each with the columns that it shows. What is compared are bytes. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ForeignClient } from '../../../lab/clients/client.js';
import { addSecondAddress } from '../../../lab/namespace.js';
import { startNginx } from '../../../lab/nginx.js';
import type { Scope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { startTestTracker } from '../../../lab/tracker.js';
import { until } from '../../../lab/wait.js';
import type { Engine } from '../../../src/api.js';
import { formatMagnet } from '../../../src/index.js';
import { share } from '../../../src/library/share.js';
import { withTrackers } from '../../../src/metainfo/torrent.js';
import { parseHandshake } from '../../../src/wire/handshake.js';
import { connectRawPeer } from '../../support/raw-peer.js';
import { DEADLINE_MS, type Kind, makePayload, Stage } from './stage.js';
import type { Column } from './table.js';

type Payload = Awaited<ReturnType<typeof makePayload>>;

export interface Cell {
  readonly scope: Scope;
  readonly client: ForeignClient;
  readonly payload: Payload;
  /** Columns that the client lacks. */
  readonly lacks: ReadonlySet<Column>;
}

export interface Scene {
  readonly title: string;
  /** It is played unless the client lacks the first of them. */
  readonly shows: readonly [Column, ...Column[]];
  readonly play: (cell: Cell) => Promise<void>;
}

const open = ({ scope, client, payload }: Cell, kind: Kind, on?: 'nothing' | 'cable' | 'ipv6'): Promise<Stage> =>
  Stage.open(scope, client, payload, kind, on);

/** It has no other way than UDP to hear of us. */
async function leechesByUdpTracker(cell: Cell): Promise<void> {
  const stage = await open(cell, 'tree');
  const tracker = await stage.tracker();
  const torrent = await stage.seed(await stage.engine(), [tracker.http]);
  await until('we are announced', DEADLINE_MS, () => tracker.server.stats().peers === 1);
  await stage.theyGet({ tracker: tracker.udp }, torrent);
}

async function seedsByHttpTracker(cell: Cell): Promise<void> {
  const stage = await open(cell, 'tree');
  const tracker = await stage.tracker();
  const address = await cell.client.seed(cell.scope, stage.job({ tracker: tracker.http }));
  await until('it is announced', DEADLINE_MS, () => tracker.server.stats().peers === 1);
  const options = { ...address, metainfo: stage.metainfo, peerId: '-XX0001-somebodyelse', fast: true };
  const peer = await connectRawPeer(cell.scope, options);
  const said = await peer.event('');
  const handshake = parseHandshake(Buffer.from(peer.handshake));
  assert.ok('supportsFast' in handshake);
  const has = { bit: handshake.supportsFast, first: peer.recorder.events.find((event) => /^(?:have|bit)/.test(event)) };
  const isLacking = cell.lacks.has('fast extension');
  assert.deepEqual([has.bit, has.first === 'have all'], [!isLacking, !isLacking], `${said} ${JSON.stringify(has)}`);
  peer.close();
  await peer.closed;
  const engine = await stage.engine();
  await stage.weGet((output) => engine.add(stage.metainfo, { output, trackers: [[tracker.http]] }));
}

/** Whoever lacks the DHT shows what it makes of a magnet by a tracker. */
async function leechesMagnet(cell: Cell): Promise<void> {
  const stage = await open(cell, 'tree');
  const { infoHash } = stage.metainfo;
  if (cell.lacks.has('DHT')) {
    // It names the seed to whoever asks: rqbit says of a magnet that nothing is left, and seeds are no use to a seed.
    const tracker = await startTestTracker(cell.scope);
    const seed = await stage.engine();
    tracker.pinned.push({ host: stage.host, port: seed.port! });
    const url = tracker.url(stage.host);
    const link = formatMagnet({ infoHash, trackers: [url] });
    await stage.theyGet({ torrentFile: link, tracker: url }, await stage.seed(seed));
    return;
  }
  const { engines, nodes } = await stage.dht();
  // It asks and is not asked: the other side cannot announce itself to it.
  const seed = await stage.engine({ dht: { nodes: nodes.slice(0, 1), readOnly: true } });
  const torrent = await stage.seed(seed);
  await until('we are announced', DEADLINE_MS, () => isAnnounced(engines));
  const dht = { dhtNode: nodes[0]!, dhtNodes: nodes };
  await stage.theyGet({ torrentFile: formatMagnet({ infoHash }), ...dht }, torrent);
}

const isAnnounced = (engines: readonly Engine[]): boolean =>
  engines.some((engine) => engine.stats().dht!.storedPeers > 0);

async function seedsMagnet(cell: Cell): Promise<void> {
  const place = await open(cell, 'tree');
  const { engines, nodes } = await place.dht();
  const stage = await place.nearTo(nodes.at(-1)!);
  const { infoHash } = stage.metainfo;
  await cell.client.seed(cell.scope, stage.job({ dhtNode: nodes[0]!, dhtNodes: nodes }));
  await until('it is announced', DEADLINE_MS, () => isAnnounced(engines)).catch((error: Error) => {
    throw new Error(`${error.message} ${JSON.stringify(engines.map((engine) => engine.stats().dht))}`);
  });
  const leech = await stage.engine({ dht: { nodes: nodes.slice(0, 1), readOnly: true } });
  await stage.weGet((output) => leech.add(formatMagnet({ infoHash }), { output }));
}

/** It knows one peer, which has nothing to give and tells of another. */
async function findsByPex(cell: Cell): Promise<void> {
  const stage = await open(cell, 'file');
  // Some have one peer of an address at most.
  const host = stage.namespace === undefined ? '127.0.0.2' : await addSecondAddress(stage.namespace);
  const seed = await stage.engine({ host });
  const torrent = await stage.seed(seed);
  const middle = await stage.engine({ uploadBytesPerSec: 1_000 });
  const limits = { downloadBytesPerSec: 20_000, trackers: [] };
  const peers = [{ host, port: seed.port! }];
  const leech = middle.add(stage.metainfo, { ...limits, peers, output: await tempFolder(cell.scope) });
  leech.done.catch(() => {}); // It does not end.
  await until('the middle knows the seed', DEADLINE_MS, () => leech.peers().length === 1);
  const tracker = await startTestTracker(cell.scope);
  tracker.pinned.push({ host: stage.host, port: middle.port! });
  await stage.theyGet({ tracker: tracker.url(stage.host), usesPex: true }, null);
  assert.ok(torrent.stats().uploadedBytes > stage.metainfo.geometry.lengthBytes / 2, 'most is from the one found');
}

async function findsByLsd(cell: Cell): Promise<void> {
  const stage = await open(cell, 'file', 'cable');
  const torrent = await stage.seed(await stage.engine({ lsd: true }));
  await stage.theyGet({ usesLsd: true }, torrent);
}

async function leechesOverIpv6(cell: Cell): Promise<void> {
  const stage = await open(cell, 'file', 'ipv6');
  const tracker = await stage.tracker();
  const torrent = await stage.seed(await stage.engine(), [tracker.http]);
  await until('we are announced', DEADLINE_MS, () => tracker.server.stats().peers === 1);
  await stage.theyGet({ tracker: tracker.http }, torrent);
}

/** `share` is the web server; there is no tracker, and so no peer. */
async function leechesFromWebSeed(cell: Cell): Promise<void> {
  const stage = await open(cell, 'file');
  const engine = { port: 0, host: stage.host, threads: 1 };
  const source = path.join(stage.folder, stage.metainfo.name);
  const shared = await share(source, { httpPort: 0, host: stage.host, threads: 1, engine });
  cell.scope.defer(() => shared.close());
  const url = `${new URL(shared.torrentUrl(stage.host)).origin}/data/${stage.metainfo.name}`;
  const torrentFile = path.join(await tempFolder(cell.scope), 'only-web.torrent');
  await writeFile(torrentFile, withTrackers(await readFile(stage.torrentFile), [], [url]));
  await stage.theyGet({ torrentFile, usesWebSeeds: true }, null);
  assert.equal(shared.torrent.stats().uploadedBytes, 0);
}

/** The note of webtorrent's web seeds: nginx has every file, and is asked for none whose name would be escaped. */
export async function asksForNoOddNames(cell: Cell): Promise<void> {
  const stage = await open(cell, 'tree');
  const nginx = await startNginx(cell.scope, stage.folder, await tempFolder(cell.scope));
  const torrentFile = path.join(await tempFolder(cell.scope), 'only-web.torrent');
  await writeFile(torrentFile, withTrackers(await readFile(stage.torrentFile), [], [`${nginx.url}/`]));
  const job = { torrentFile, usesWebSeeds: true, timeoutMs: DEADLINE_MS };
  await assert.rejects(stage.theyGet(job, null), /unescaped characters/);
  const engine = await stage.engine();
  await stage.weGet((output) => engine.add(stage.metainfo, { output, trackers: [], webSeeds: [`${nginx.url}/`] }));
}

export const SCENES: readonly Scene[] = [
  { title: 'gives a magnet', shows: ['magnet, they seed', 'DHT'], play: seedsMagnet },
  { title: 'gets a magnet', shows: ['magnet, they leech', 'DHT'], play: leechesMagnet },
  {
    title: 'seeds, found by a tracker over HTTP',
    shows: ['they seed', 'HTTP tracker', 'fast extension'],
    play: seedsByHttpTracker,
  },
  { title: 'leeches, by a tracker over UDP', shows: ['they leech', 'UDP tracker'], play: leechesByUdpTracker },
  { title: 'finds a seed by peer exchange', shows: ['PEX'], play: findsByPex },
  { title: 'is met by local service discovery', shows: ['LSD'], play: findsByLsd },
  { title: 'leeches over IPv6', shows: ['IPv6'], play: leechesOverIpv6 },
  { title: 'gets all by HTTP', shows: ['web seed'], play: leechesFromWebSeed },
];

export { makePayload };
