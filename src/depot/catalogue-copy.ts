/** A catalogue that is there and is only read: a copy of it is opened, for LevelDB writes into whatever it opens. */
import { cp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import { type LevelCatalogue, openLevelCatalogue } from './catalogue/level.js';
import { holdFolder } from './held-folder.js';
import { isThere } from './is-there.js';
import type { BlobStore } from './store/port.js';

/** Of the catalogue's files. */
const NOT_COPIED = /^(?:LOCK|ballast(?:\.\d)?)$/;

/** Looked at before one is made: a process that is killed in between must not leave an empty one. */
export async function checkThere(store: Pick<BlobStore, 'list'>, folder: string): Promise<void> {
  if (isThere(join(folder, 'CURRENT'))) return;
  for await (const { sha256 } of store.list()) {
    const message = `the catalogue ${folder} is missing, and there are blobs; make it anew with: haul depot rebuild`;
    throw new HaulError('BAD_DATA', message, { where: folder, sha256 });
  }
}

/**
 * @param folder of the catalogue, which nobody has open; only read
 * @throws HaulError as `openCatalogueOf`
 */
export async function openCatalogueCopy(
  store: Pick<BlobStore, 'list'>,
  folder: string,
): Promise<{ readonly catalogue: LevelCatalogue; close(): Promise<void> }> {
  await checkThere(store, folder);
  const { path: temporary, remove } = await holdFolder('haul-catalogue-');
  try {
    const isWanted = (file: string): boolean => !NOT_COPIED.test(basename(file));
    if (isThere(folder)) await cp(folder, temporary, { recursive: true, filter: isWanted });
    const catalogue = await openLevelCatalogue(temporary);
    const close = (): Promise<void> => catalogue.close().finally(remove);
    return { catalogue, close };
  } catch (error) {
    await remove();
    if (!HaulError.is(error)) throw fromSystemError(error, 'copy catalogue', folder);
    throw new HaulError(error.code, error.message.replaceAll(temporary, folder), { where: folder }, error);
  }
}
