/** Publishes by peers over a real store and engine, a catalogue in memory, and clocks that the test sets. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scope } from '../../../lab/scope.js';
import { tempFolder } from '../../../lab/temp.js';
import { until } from '../../../lab/wait.js';
import type { Engine, EngineOptions } from '../../../src/api.js';
import { choosePieceLength } from '../../../src/content/create.js';
import { blobTorrent } from '../../../src/depot/blob-info.js';
import type { Artifacts } from '../../../src/depot/http/inside.js';
import { Arrivals, type ArrivalsOptions } from '../../../src/depot/p2p/arrivals.js';
import type { ArrivalRequest, ArrivalView, Begun } from '../../../src/depot/p2p/port.js';
import { Depot } from '../../../src/depot/publish.js';
import { Seeds } from '../../../src/depot/seeds.js';
import { openFolderStore } from '../../../src/depot/store/folders.js';
import type { BlobStore } from '../../../src/depot/store/port.js';
import { peersFound } from '../../../src/engine/found-peers.js';
import { parseTorrent } from '../../../src/metainfo/torrent.js';
import type { Address } from '../../../src/net/address.js';
import { startEngine } from '../../support/engines.js';
import { sha256 } from '../depot-kit.js';
import { MemoryCatalogue } from '../memory-catalogue.js';
import { quickFolder } from '../quick-folder.js';

export const DEADLINE_MS = 60_000;
export const TORRENT_FROM = 100_000;

export function torrentOf(fileName: string, bytes: Buffer): Buffer {
  const pieceLengthBytes = choosePieceLength(bytes.length);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += pieceLengthBytes)
    pieces.push(
      createHash('sha1')
        .update(bytes.subarray(at, at + pieceLengthBytes))
        .digest(),
    );
  const blob = { lengthBytes: bytes.length, pieceLengthBytes, pieces: Buffer.concat(pieces) };
  return blobTorrent(fileName, blob, null, null);
}

/** An engine that seeds it, to whoever dials. */
export async function seedOf(
  scope: Scope,
  torrent: Buffer,
  bytes: Buffer,
  options: EngineOptions = {},
): Promise<Engine> {
  const engine = await startEngine(scope, options);
  const output = await tempFolder(scope);
  const metainfo = parseTorrent(torrent);
  writeFileSync(join(output, metainfo.name), bytes);
  const seed = engine.add(metainfo, { output, mode: 'seed', trackers: [] });
  await seed.done;
  return engine;
}

export interface Opened {
  readonly arrivals: Arrivals;
  /** What others publish with. */
  readonly artifacts: Artifacts;
  readonly depot: Depot;
  readonly store: BlobStore;
  readonly engine: Engine;
  close(): Promise<void>;
}

export class Scene {
  readonly folder: string;
  readonly #scope: Scope;
  readonly catalogue: MemoryCatalogue = new MemoryCatalogue();
  /** Whom the tracker knows. */
  peers: Address[] = [];
  nowMs = 1_000_000;
  wallMs = 1_800_000_000_000;
  readonly logged: string[] = [];

  private constructor(scope: Scope, folder: string) {
    this.#scope = scope;
    this.folder = folder;
  }

  static async make(scope: Scope): Promise<Scene> {
    return new Scene(scope, await quickFolder(scope));
  }

  async open(more: Partial<ArrivalsOptions> = {}): Promise<Opened> {
    const data = join(this.folder, 'data');
    const store = await openFolderStore({ folder: data });
    const engine = await startEngine(this.#scope);
    const seeds = new Seeds({ engine, store, catalogue: this.catalogue });
    await seeds.load();
    const depot = new Depot({ store, catalogue: this.catalogue, torrents: seeds, torrentFromBytes: TORRENT_FROM });
    const arrivals = await Arrivals.open({
      folder: join(this.folder, 'arriving'),
      engine,
      store,
      artifacts: depot,
      catalogue: this.catalogue,
      peersOf: () => this.peers,
      peersFound,
      shown: () => () => {},
      artifactBytesMax: 2 ** 40,
      torrentFromBytes: TORRENT_FROM,
      log: (_, message) => this.logged.push(message),
      now: () => this.nowMs,
      wallClockMs: () => this.wallMs,
      ...more,
    });
    let isClosed = false;
    const close = async (): Promise<void> => {
      if (isClosed) return;
      isClosed = true;
      await arrivals.close();
      await depot.close();
      await engine.close();
      await seeds.close();
      await store.close();
    };
    this.#scope.defer(close);
    return { arrivals, artifacts: arrivals.watch(depot), depot, store, engine, close };
  }

  /** So much time goes by, and it is looked. */
  pass({ arrivals }: Pick<Opened, 'arrivals'>, ms: number): void {
    this.nowMs += ms;
    this.wallMs += ms;
    arrivals.tick();
  }

  /** Folders of what is on its way. */
  kept(): Promise<string[]> {
    return readdir(join(this.folder, 'arriving'));
  }
}

export function wish(name: string, bytes: Buffer | null, more: Partial<ArrivalRequest> = {}): ArrivalRequest {
  return {
    name: `artifacts/${name}`,
    sha256: bytes === null ? null : sha256(bytes),
    contentType: null,
    retentionDays: null,
    overwrite: false,
    onlyIfNew: false,
    owner: 'somebody',
    ...more,
  };
}

/** @returns its id */
export function idOf(begun: Begun): string {
  if (begun.kind !== 'arriving') throw new Error(`it is not arriving: ${begun.kind}`);
  return begun.view.id;
}

export function become(
  opened: Pick<Opened, 'arrivals'>,
  id: string,
  state: ArrivalView['state'],
): Promise<ArrivalView> {
  return until(`it is ${state}`, DEADLINE_MS, () => {
    const view = opened.arrivals.find(id);
    if (view === null || view.state === state) return view ?? false;
    if (view.state === 'done' || view.state === 'failed')
      throw new Error(`it is ${view.state}, not ${state}: ${String(view.error)}`);
    return false;
  });
}
