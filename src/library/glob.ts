/** Globs over paths with '/': which files of a torrent, and which of a folder do not become part of one. */
import { createRequire } from 'node:module';
import { HaulError } from '../errors.js';

/** `*` and `?` stay within a name, `**` crosses folders; a name that is itself full of brackets matches as it is. */
export function matcher(glob: string): (path: string) => boolean {
  // Parentheses are common in names; picomatch would hand them to the regular expression.
  const plain = glob.replace(/\\.|[()|]/g, (found) => (found.length > 1 ? found : `\\${found}`));
  // Most commands have no glob: loaded with the first one.
  const picomatch = createRequire(import.meta.url)('picomatch') as typeof import('picomatch');
  const isMatch = picomatch(plain, { dot: true, nonegate: true, noextglob: true, windows: false });
  return (path) => path === glob || isMatch(path);
}

/** What is left out of a new torrent. */
export interface Exclusion {
  /** @param path of a file or folder below the shared one, with '/'. What is in a folder is not asked for. */
  readonly isExcluded: (path: string) => boolean;
  /** Globs that nothing has matched so far. */
  readonly unused: () => readonly string[];
}

/** A glob without '/' means names in any folder, as such patterns do elsewhere; one with '/' the path from the top. */
export function makeExclusion(globs: readonly string[]): Exclusion {
  const rules = globs.map((glob) => {
    const plain = glob.replace(/^(?:\.?\/)+|\/+$/g, '');
    if (plain === '') throw new HaulError('BAD_ARGUMENT', `the glob '${glob}' of what to leave out names nothing`);
    const isMatch = matcher(plain);
    const isName = !plain.includes('/');
    return { glob, isMatch: (path: string) => isMatch(isName ? path.slice(path.lastIndexOf('/') + 1) : path) };
  });
  const used = new Set<string>();
  return {
    isExcluded: (path) => {
      // All of them are asked: each that matches is of use.
      const matching = rules.filter(({ isMatch }) => isMatch(path));
      for (const { glob } of matching) used.add(glob);
      return matching.length > 0;
    },
    unused: () => globs.filter((glob) => !used.has(glob)),
  };
}
