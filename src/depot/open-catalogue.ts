/** The catalogue that belongs to a store: never an empty one beside blobs, which would be swept as nobody's. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HaulError } from '../errors.js';
import { type LevelCatalogue, type LevelOptions, openLevelCatalogue } from './catalogue/level.js';
import type { BlobStore } from './store/port.js';

/**
 * @param folder of the catalogue
 * @throws HaulError as `openLevelCatalogue`; BAD_DATA too where there was no catalogue, but there are blobs
 */
export async function openCatalogueOf(
  store: Pick<BlobStore, 'list'>,
  folder: string,
  options: LevelOptions = {},
): Promise<LevelCatalogue> {
  // Looked at before one is made: a process that is killed in between must not leave an empty one.
  if (!existsSync(join(folder, 'CURRENT'))) {
    for await (const { sha256 } of store.list()) {
      const message = `the catalogue ${folder} is missing, and there are blobs; make it anew with: haul depot rebuild`;
      throw new HaulError('BAD_DATA', message, { where: folder, sha256 });
    }
  }
  return openLevelCatalogue(folder, options);
}
