/** A depot's folder with a few artifacts in it, and hands to damage it with. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Scope } from '../../lab/scope.js';
import type { LevelCatalogue } from '../../src/depot/catalogue/level.js';
import type { ArtifactRow } from '../../src/depot/catalogue/port.js';
import { openCatalogueOf } from '../../src/depot/open-catalogue.js';
import { Depot } from '../../src/depot/publish.js';
import type { PublishRequest } from '../../src/depot/publish-port.js';
import { catalogueIn } from '../../src/depot/rebuild.js';
import { type FolderStore, openFolderStore } from '../../src/depot/store/folders.js';
import { quickFolder } from './quick-folder.js';

export interface OpenScene {
  readonly store: FolderStore;
  readonly catalogue: LevelCatalogue;
  readonly depot: Depot;
}

export class DepotScene {
  readonly folder: string;
  nowMs = 1_800_000_000_000;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @param where default: wherever that is quick */
  static async make(scope: Scope, where?: string): Promise<DepotScene> {
    return new DepotScene(path.join(where ?? (await quickFolder(scope)), 'depot'));
  }

  get catalogueFolder(): string {
    return catalogueIn(this.folder);
  }

  /** Opens it, does that, and closes it again. */
  async with<T>(run: (open: OpenScene) => Promise<T>): Promise<T> {
    return this.withStore(async (store) => {
      const catalogue = await openCatalogueOf(store, this.catalogueFolder);
      const depot = new Depot({ store, catalogue, torrentFromBytes: 100_000, now: () => this.nowMs });
      try {
        return await run({ store, catalogue, depot });
      } finally {
        await depot.close();
        await catalogue.close();
      }
    });
  }

  async withStore<T>(run: (store: FolderStore) => Promise<T>): Promise<T> {
    const store = await openFolderStore({ folder: this.folder });
    try {
      return await run(store);
    } finally {
      await store.close();
    }
  }

  blobPath(sha256: string): string {
    return path.join(this.folder, 'blobs', sha256.slice(0, 2), sha256);
  }

  namesPath(sha256: string): string {
    return path.join(this.folder, 'blobs', sha256.slice(0, 2), 'names');
  }

  /** Another byte in the middle, as a bad disk gives it. */
  flip({ sha256 }: ArtifactRow): void {
    const file = this.blobPath(sha256);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1]! ^= 1;
    chmodSync(file, 0o644);
    writeFileSync(file, bytes);
  }
}

export async function publish(
  { depot }: Pick<OpenScene, 'depot'>,
  name: string,
  bytes: Uint8Array,
  more: Partial<PublishRequest> = {},
): Promise<ArtifactRow> {
  const { row } = await depot.publish({
    name: `artifacts/${name}`,
    lengthBytes: bytes.length,
    sha256: null,
    contentType: null,
    retentionDays: null,
    overwrite: true,
    onlyIfNew: false,
    body: (async function* () {
      yield Buffer.from(bytes);
    })(),
    signal: new AbortController().signal,
    ...more,
  });
  return row;
}

export async function allRows({ catalogue }: Pick<OpenScene, 'catalogue'>): Promise<readonly ArtifactRow[]> {
  return (await catalogue.list({ prefix: '', cursor: null, limit: 1000 })).rows;
}
