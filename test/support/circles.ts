/** Files that import each other in a circle, type-only imports included. */
import { importsOf, type SourceFile } from './source.js';

/**
 * Groups of files of which each leads to each, sorted. A file that imports itself alone is none.
 * @param sources what is not among them is taken to import nothing
 */
export function circlesOf(sources: readonly SourceFile[]): string[][] {
  const targets = new Map<string, readonly string[]>();
  for (const source of sources) {
    targets.set(
      source.file,
      importsOf(source).flatMap(({ target }) => target ?? []),
    );
  }
  const reach = new Map<string, Set<string>>();
  for (const file of targets.keys()) reach.set(file, reached(file, targets));
  const groups = new Map<string, string[]>();
  for (const [file, others] of reach) {
    const group = [...others].filter((other) => other !== file && reach.get(other)?.has(file) === true);
    if (group.length > 0) groups.set([...group, file].sort().join(' '), [...group, file].sort());
  }
  return [...groups.values()];
}

function reached(file: string, targets: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const next = [...(targets.get(file) ?? [])];
  for (let target = next.pop(); target !== undefined; target = next.pop()) {
    if (seen.has(target)) continue;
    seen.add(target);
    next.push(...(targets.get(target) ?? []));
  }
  return seen;
}
