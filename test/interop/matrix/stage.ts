/** What a cell of the matrix plays on: a payload of its own, an address that both sides reach, and what is compared. */
import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ClientJob, ForeignClient } from '../../../lab/clients/client.js';
import { AWKWARD_FILES, writeSeededFile, writeTree } from '../../../lab/data.js';
import { addIpv6, type Namespace, openNamespace } from '../../../lab/namespace.js';
import type { Scope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { treeDifferences } from '../../../lab/tree.js';
import { withDeadline } from '../../../lab/wait.js';
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

  /** @param on what lies between us: this machine, a cable in any case, or the same with IPv6 */
  static async open(
    scope: Scope,
    client: ForeignClient,
    payload: Payload,
    kind: Kind,
    on: 'nothing' | 'cable' | 'ipv6' = 'nothing',
  ): Promise<Stage> {
    const namespace = client.needsNamespace || on === 'cable' ? await openNamespace(scope) : undefined;
    const ends6 = on !== 'ipv6' || namespace === undefined ? null : await addIpv6(namespace);
    const own = on === 'ipv6' ? '::1' : '127.0.0.1';
    const host = ends6?.hostAddress ?? namespace?.hostAddress ?? own;
    const address6 = on === 'ipv6' ? (ends6?.address ?? own) : undefined;
    const name = `${kind}-${++cells}`;
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
