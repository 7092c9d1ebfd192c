/** A depot as it is started for people, on a free port, with a place for files beside it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openScope } from '../../../lab/scope.js';
import type { DepotOptions, DepotRequest } from '../../../src/depot/api.js';
import { startDepot } from '../../../src/depot/depot.js';
import { quickFolder } from '../quick-folder.js';

export interface DepotPlace {
  readonly url: string;
  /** An empty folder. */
  readonly folder: string;
  /** All that were answered, in order. */
  readonly requests: readonly DepotRequest[];
}

export async function openPlace(context: TestContext, options: Partial<DepotOptions> = {}): Promise<DepotPlace> {
  const scope = openScope(context);
  const root = await quickFolder(scope);
  const folder = join(root, 'work');
  await mkdir(folder);
  const requests: DepotRequest[] = [];
  const depot = await startDepot({
    data: join(root, 'data'),
    httpPort: 0,
    engine: { port: false, threads: 1 },
    onRequest: (request) => requests.push(request),
    ...options,
  });
  scope.defer(() => depot.close(0));
  return { url: depot.url, folder, requests };
}
