/** A folder for tests that sync often: in memory where there is such a place, for a disk that others use is slow. */
import { existsSync } from 'node:fs';
import type { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';

const MEMORY = '/dev/shm';

export function quickFolder(scope: Scope): Promise<string> {
  return tempFolder(scope, existsSync(MEMORY) ? MEMORY : undefined);
}
