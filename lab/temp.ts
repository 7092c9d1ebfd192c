import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from './scope.js';

/** A new empty folder, removed with everything in it when the scope closes. */
export async function tempFolder(scope: Scope, parent: string = os.tmpdir()): Promise<string> {
  const folder = await mkdtemp(path.join(parent, 'swarmhaul-test-'));
  scope.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 }));
  return folder;
}
