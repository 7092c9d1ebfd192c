/** The catalogue that belongs to a store: never an empty one beside blobs, which would be swept as nobody's. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fromSystemError, type HaulError } from '../errors.js';
import type { Log } from '../log.js';
import { type LevelCatalogue, type LevelOptions, openLevelCatalogue } from './catalogue/level.js';
import type { Catalogue } from './catalogue/port.js';
import { postgresPlace } from './catalogue/postgres/place.js';
import { checkThere, openCatalogueCopy } from './catalogue-copy.js';
import { DEPOT_DEFAULTS } from './publish.js';
import { readOwnText } from './read-own.js';
import { catalogueIn, type RebuildOptions } from './rebuild.js';
import { replaceFile } from './replace-file.js';
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
  await checkThere(store, folder);
  return openLevelCatalogue(folder, options);
}

export interface CatalogueChoice {
  /** Folder of the depot. */
  readonly data: string;
  /** URL of PostgreSQL; else LevelDB in `data`. */
  readonly catalogue?: string | undefined;
  readonly torrentFromBytes?: number | undefined;
  readonly log?: Log;
}

/**
 * The one that a depot is to have.
 * @throws HaulError as `openCatalogueOf`, or as `openPostgresCatalogue`
 */
export async function openChosenCatalogue(
  store: Pick<BlobStore, 'list' | 'elsewhere'>,
  { data, catalogue, torrentFromBytes = DEPOT_DEFAULTS.torrentFromBytes, log }: CatalogueChoice,
): Promise<Catalogue> {
  const onDamaged = (error: HaulError): void => log?.('error', error.message);
  if (catalogue === undefined) return openCatalogueOf(store, catalogueIn(data), { onDamaged });
  // What is wrong with it is said before anything is loaded.
  postgresPlace(catalogue);
  const { openPostgresCatalogue } = await import('./catalogue/postgres/open.js');
  const opened = await openPostgresCatalogue(catalogue, {
    onDamaged,
    onWarning: (message) => log?.('warn', message),
    settings: { store: await storeNameOf(store, data), torrentFromBytes },
    hasBlobs: () => hasBlobs(store),
  });
  try {
    await store.elsewhere?.bind(await opened.id());
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

export interface CataloguePlace {
  readonly data: string;
  /** URL of PostgreSQL; else LevelDB in `data`. */
  readonly catalogue: string | undefined;
}

interface Looked {
  readonly catalogue: Pick<Catalogue, 'list'> & { audit(): Promise<string[]> };
  close(): Promise<void>;
}

/** To be read only. @throws HaulError as `openCatalogueCopy`, or as `lookIntoPostgres` */
export async function lookIntoCatalogue(
  store: Pick<BlobStore, 'list' | 'elsewhere'>,
  { data, catalogue }: CataloguePlace,
): Promise<Looked> {
  if (catalogue === undefined) return openCatalogueCopy(store, catalogueIn(data));
  const { lookIntoPostgres } = await import('./catalogue/postgres/open.js');
  const isKnown = store.elsewhere !== undefined || (await knownId(join(data, 'store-id'))) !== '';
  const looked = await lookIntoPostgres(catalogue, isKnown ? await storeNameOf(store, data) : null);
  return { catalogue: looked, close: () => looked.close() };
}

/** Where a rebuilt one goes. @throws HaulError BAD_ARGUMENT */
export async function rebuildTarget(
  store: Pick<BlobStore, 'elsewhere'>,
  {
    data,
    catalogue,
    torrentFromBytes = DEPOT_DEFAULTS.torrentFromBytes,
  }: CataloguePlace & { readonly torrentFromBytes: number | undefined },
): Promise<RebuildOptions['catalogue']> {
  if (catalogue === undefined) return catalogueIn(data);
  postgresPlace(catalogue);
  const { rebuildPostgres } = await import('./catalogue/postgres/open.js');
  const settings = { store: await storeNameOf(store, data), torrentFromBytes };
  return (rows) => rebuildPostgres(catalogue, settings, rows);
}

async function hasBlobs(store: Pick<BlobStore, 'list'>): Promise<boolean> {
  for await (const _blob of store.list()) return true;
  return false;
}

/** By which depots that share a catalogue see whether they share the store, too. */
async function storeNameOf({ elsewhere }: Pick<BlobStore, 'elsewhere'>, data: string): Promise<string> {
  return elsewhere === undefined ? `folder ${await storeIdOf(data)}` : `${elsewhere.kind} ${elsewhere.id}`;
}

/** What a store in a folder is known by wherever the folder is put. @throws HaulError */
async function storeIdOf(data: string): Promise<string> {
  const file = join(data, 'store-id');
  try {
    const known = await knownId(file);
    if (known !== '') return known;
    const made = randomBytes(16).toString('hex');
    await replaceFile(file, `${made}\n`);
    return made;
  } catch (error) {
    throw fromSystemError(error, 'keep the name of the store in', file);
  }
}

/** '': there is none. */
async function knownId(file: string): Promise<string> {
  const text = await readOwnText(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return /^[0-9a-f]{32}$/.test(text.trim()) ? text.trim() : '';
}
