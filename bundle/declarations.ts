/**
 * `node dist/bundle/declarations.js`, before the package is made: removes the declarations below dist/src that the
 * library's own does not lead to. The others describe what nobody can import.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** `index.d.ts` of a folder of compiled sources, and every declaration it leads to. */
function reachable(folder: string): Set<string> {
  const seen = new Set<string>();
  const waiting = [path.join(folder, 'index.d.ts')];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/(?:from|import\() ?['"](\.[^'"]+)\.js['"]/g)) {
      waiting.push(path.join(path.dirname(file), `${name}.d.ts`));
    }
  }
  return seen;
}

/** @param folder the compiled `src` */
export function pruneDeclarations(folder: string): void {
  const kept = reachable(folder);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(folder, name);
    if (/\.d\.c?ts$/.test(name) && !kept.has(file)) rmSync(file);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  pruneDeclarations(fileURLToPath(new URL('../src', import.meta.url)));
}
