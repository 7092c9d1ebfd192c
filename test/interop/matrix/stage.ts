/** What a cell of the matrix plays on: a payload of its own, an address that both sides reach, and what is compared. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ClientJob, ForeignClient } from '../../../lab/clients/client.js';
import { AWKWARD_FILES, writeSeededFile, writeTree } from '../../../lab/data.js';
import { addIpv6, type Namespace, openNamespace } from '../../../lab/namespace.js';
import type { Scope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import type { PeerAddress } from '../../../lab/tracker.js';
import { treeDifferences } from '../../../lab/tree.js';
import { until, withDeadline } from '../../../lab/wait.js';
import type { Engine, EngineOptions, MagnetDownload, Torrent } from '../../../src/api.js';
import { createTorrent } from '../../../src/content/create.js';
import { startTracker, type TrackerServer } from '../../../src/index.js';
import { decodeChecked, encodeBencode } from '../../../src/metainfo/bencode.js';
import type { Metainfo } from '../../../src/metainfo/metainfo.js';
import { parseTorrent } from '../../../src/metainfo/torrent.js';
import { createWorkPool } from '../../../src/work/pool.js';
import { startEngine } from '../../support/engines.js';

export const DEADLINE_MS = 120_000;
/** Nobody is there. */
export const NO_TRACKER = 'http://127.0.0.1:1/announce';
const KIB = 1024;
const FILE_BYTES = 2_500_001;
/** Names so long that the info dictionary has three pieces (BEP 9). */
const MANY_FILES = Array.from({ length: 320 }, (_, index) => ({
  path: `many/${String(index).padStart(100, 'x')}`,
  lengthBytes: 6_000 + index,
}));

export type Kind = 'tree' | 'file';

interface Payload {
  readonly folder: string;
  readonly torrents: Readonly<Record<Kind, Buffer>>;
}

let cells = 0;

/** The data of all cells. */
export async function makePayload(scope: Scope): Promise<Payload> {
  const folder = await tempFolder(scope);
  await writeTree(path.join(folder, 'tree'), [...AWKWARD_FILES, ...MANY_FILES], 'matrix');
  await writeSeededFile(path.join(folder, 'file'), FILE_BYTES, 'matrix');
  const pool = createWorkPool({ threads: 1 });
  try {
    const make = (kind: Kind): Promise<Buffer> =>
      createTorrent(path.join(folder, kind), { pieceLengthBytes: 32 * KIB }, pool);
    return { folder, torrents: { tree: await make('tree'), file: await make('file') } };
  } finally {
    await pool.close();
  }
}

/** The same torrent under another name, so that no cell meets the peers of another one. */
function renamed(torrent: Buffer, name: string): Buffer {
  const whole = decodeChecked(torrent) as Map<string, Map<string, Uint8Array>>;
  whole.get('info')!.set('name', Buffer.from(name));
  return encodeBencode(whole);
}

/** The end of a name with which the info-hash begins as this id does, 16 bits of it: one name in 65,536. */
function nameNear(torrent: Buffer, begin: string, id: Uint8Array): string {
  const whole = decodeChecked(renamed(torrent, `${begin}-0000000`)) as Map<string, Map<string, Uint8Array>>;
  const info = encodeBencode(whole.get('info')!);
  const at = info.indexOf(`${begin}-0000000`) + begin.length + 1;
  const before = createHash('sha1').update(info.subarray(0, at));
  const after = info.subarray(at + 7);
  for (let k = 0; k < 10_000_000; k++) {
    const digits = String(k).padStart(7, '0');
    const digest = before.copy().update(digits).update(after).digest();
    if (digest[0] === id[0] && digest[1] === id[1]) return `${begin}-${digits}`;
  }
  throw new Error('no name is near enough');
}

/** The id of a node of the DHT (BEP 5, `ping`). */
async function nodeIdOf({ host, port }: PeerAddress): Promise<Buffer> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    socket.send(`d1:ad2:id20:${'m'.repeat(20)}e1:q4:ping1:t2:aa1:y1:qe`, port, host);
    const [bytes] = (await withDeadline(once(socket, 'message'), 'our node answers', DEADLINE_MS)) as [Buffer];
    const answer = decodeChecked(bytes) as Map<string, Map<string, Uint8Array>>;
    return Buffer.from(answer.get('r')!.get('id')!);
  } finally {
    socket.close();
  }
}

export class Stage {
  readonly scope: Scope;
  readonly client: ForeignClient;
  readonly namespace: Namespace | undefined;
  /** Where we are, as the other side reaches us. */
  readonly host: string;
  /** Where it is; null: at our own address. */
  readonly address6: string | undefined;
  readonly metainfo: Metainfo;
  /** Holds our copy of the data, or what came of it. */
  readonly folder: string;
  readonly torrentFile: string;
  readonly #payload: Payload;
  readonly #kind: Kind;

  private constructor(
    scope: Scope,
    client: ForeignClient,
    payload: Payload,
    kind: Kind,
    place: Pick<Stage, 'namespace' | 'host' | 'address6'>,
    files: Pick<Stage, 'metainfo' | 'folder' | 'torrentFile'>,
  ) {
    this.scope = scope;
    this.client = client;
    this.namespace = place.namespace;
    this.host = place.host;
    this.address6 = place.address6;
    this.metainfo = files.metainfo;
    this.folder = files.folder;
    this.torrentFile = files.torrentFile;
    this.#payload = payload;
    this.#kind = kind;
  }

  /**
   * @param on what lies between us: this machine, a cable in any case, or the same with IPv6
   * @param near an id that the info-hash shall be near to
   */
  static async open(
    scope: Scope,
    client: ForeignClient,
    payload: Payload,
    kind: Kind,
    on: 'nothing' | 'cable' | 'ipv6' = 'nothing',
    near?: Uint8Array,
  ): Promise<Stage> {
    const namespace = client.needsNamespace || on === 'cable' ? await openNamespace(scope) : undefined;
    const ends6 = on !== 'ipv6' || namespace === undefined ? null : await addIpv6(namespace);
    const own = on === 'ipv6' ? '::1' : '127.0.0.1';
    const host = ends6?.hostAddress ?? namespace?.hostAddress ?? own;
    const address6 = on === 'ipv6' ? (ends6?.address ?? own) : undefined;
    const begin = `${kind}-${++cells}`;
    const name = near === undefined ? begin : nameNear(payload.torrents[kind], begin, near);
    const torrent = renamed(payload.torrents[kind], name);
    const folder = await tempFolder(scope);
    await cp(path.join(payload.folder, kind), path.join(folder, name), { recursive: true });
    const torrentFile = path.join(await tempFolder(scope), 'matrix.torrent');
    await writeFile(torrentFile, torrent);
    const files = { metainfo: parseTorrent(torrent), folder, torrentFile };
    return new Stage(scope, client, payload, kind, { namespace, host, address6 }, files);
  }

  engine(options: EngineOptions = {}): Promise<Engine> {
    return startEngine(this.scope, { host: this.host, ...options });
  }

  /** Nodes of the DHT, as many as the other side needs before it does anything; the first one brings them together. */
  async dht(): Promise<{ readonly engines: readonly Engine[]; readonly nodes: readonly PeerAddress[] }> {
    const engines: Engine[] = [];
    const nodes: PeerAddress[] = [];
    for (let k = 0; k < (this.client.dht?.nodes ?? 1); k++) {
      const engine = await this.engine({ dht: { nodes: nodes.slice(0, 1) } });
      engines.push(engine);
      nodes.push({ host: this.host, port: engine.stats().dht!.port });
    }
    // Who comes sooner hears of none of the others, and some never ask again. Of many, buckets do not hold all.
    const count = Math.min(2, nodes.length - 1);
    const knows = (engine: Engine): boolean => engine.stats().dht!.nodes >= count;
    await until('our nodes know of others', DEADLINE_MS, () => engines.every(knows));
    return { engines, nodes };
  }

  /** The same place with another torrent, whose info-hash is near to a node, where the other side wants that. */
  async nearTo(node: PeerAddress): Promise<Stage> {
    if (this.client.dht?.isNear !== true) return this;
    return Stage.open(this.scope, this.client, this.#payload, this.#kind, 'nothing', await nodeIdOf(node));
  }

  /** Our tracker, where both reach it. */
  async tracker(): Promise<{ readonly server: TrackerServer; readonly http: string; readonly udp: string }> {
    const server = await startTracker({ port: 0, host: this.host, udp: true });
    this.scope.defer(() => server.close());
    const http = `${server.url(this.host)}/announce`;
    return { server, http, udp: http.replace(/^http/, 'udp') };
  }

  /** We have the data. */
  async seed(engine: Engine, trackers: readonly string[] = []): Promise<Torrent> {
    const options = { output: this.folder, mode: 'seed', trustData: true, trackers: [trackers] } as const;
    const torrent = engine.add(this.metainfo, options);
    await torrent.done;
    return torrent;
  }

  job(more: Partial<ClientJob> = {}): ClientJob {
    const { torrentFile, folder, namespace, address6 } = this;
    const place = { namespace, ...(address6 === undefined ? {} : { address6 }) };
    return { torrentFile, folder, tracker: NO_TRACKER, timeoutMs: DEADLINE_MS, ...place, ...more };
  }

  /** It gets the data, from nobody but `torrent`; null: from elsewhere. */
  async theyGet(more: Partial<ClientJob>, torrent: Torrent | null): Promise<void> {
    const folder = await tempFolder(this.scope);
    await this.client.download(this.scope, this.job({ ...more, folder }));
    await this.#same(folder, !this.client.makesEmptyFiles);
    if (torrent === null) return;
    const { lengthBytes, uploadedBytes } = torrent.stats();
    assert.ok(uploadedBytes >= lengthBytes, `we uploaded ${uploadedBytes} of ${lengthBytes} bytes`);
  }

  /** We get the data. @param begin adds the torrent to an engine of ours */
  async weGet(begin: (output: string) => Torrent | MagnetDownload): Promise<void> {
    const output = await tempFolder(this.scope);
    const download = begin(output);
    await withDeadline(download.done, `our download from ${this.client.name}`, DEADLINE_MS).catch((error: Error) => {
      throw new Error(`${error.message}\n${JSON.stringify([download.stats(), download.sources()])}`);
    });
    await this.#same(output, false);
  }

  async #same(folder: string, emptyMayBeMissing: boolean): Promise<void> {
    const expected = path.join(this.#payload.folder, this.#kind);
    const actual = path.join(folder, this.metainfo.name);
    assert.deepEqual(await treeDifferences(expected, actual, { emptyMayBeMissing }), []);
  }
}
