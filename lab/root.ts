/** The folder of the package: tests run compiled, from any depth below it. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('no package.json above the tests');
    folder = parent;
  }
  return folder;
}

export const PACKAGE_ROOT = findRoot();
