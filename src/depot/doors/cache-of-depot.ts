/** The Actions cache's door on a depot: what it needs, of the depot's inside. */
import { join } from 'node:path';
import type { ArtifactRow, Catalogue } from '../catalogue/port.js';
import { bytesOf, notFound } from '../http/artifact-routes.js';
import type { Artifacts } from '../http/inside.js';
import type { Route } from '../http/route.js';
import { entryPrefix } from './cache-names.js';
import { cacheRoutes } from './cache-routes.js';
import { CacheService } from './cache-service.js';
import { CACHE_LIMITS } from './limits.js';
import { Tickets } from './tickets.js';

export interface OpenCacheDoor {
  readonly routes: readonly Route[];
  /** Once in a while. */
  tick(): void;
  close(): Promise<void>;
}

const PAGE_ROWS = 1_000;

async function newest(catalogue: Pick<Catalogue, 'list'>, prefix: string): Promise<ArtifactRow | null> {
  let latest: ArtifactRow | null = null;
  let cursor: string | null = null;
  for (let looked = 0; looked < CACHE_LIMITS.lookedNames; looked += PAGE_ROWS) {
    const page = await catalogue.list({ prefix, cursor, limit: PAGE_ROWS });
    for (const row of page.rows) if (latest === null || row.createdMs >= latest.createdMs) latest = row;
    cursor = page.cursor;
    if (cursor === null) break;
  }
  return latest;
}

/** @param data folder of the depot. @throws HaulError of the file system */
export async function openCacheDoor(
  data: string,
  { depository, catalogue }: { depository: Artifacts; catalogue: Pick<Catalogue, 'list'> },
): Promise<OpenCacheDoor> {
  const service = await CacheService.open({
    store: {
      find: (name) => depository.find(name),
      newest: (entry) => newest(catalogue, entryPrefix(entry)),
      publish: (request) => depository.publish(request),
    },
    folder: join(data, '.swarmhaul-actions-cache'),
    monotonic: () => performance.now(),
  });
  const routes = cacheRoutes({
    service,
    tickets: new Tickets(() => performance.now()),
    bytes: async (exchange, name) => {
      const row = await depository.find(name);
      if (row === null) throw notFound();
      return bytesOf(exchange, row, { depository }, false);
    },
  });
  return { routes, tick: () => service.sweep(), close: () => service.close() };
}
