/** Finds the route of a path. Pure. The first that fits wins. */
import type { Route } from './route.js';
import type { Target } from './target.js';

interface Compiled {
  readonly route: Route;
  /** Literal text, or the name of a parameter in braces. */
  readonly parts: readonly string[];
  readonly isFolder: boolean;
  /** The last part takes one or more segments; of a folder also none. */
  readonly isGreedy: boolean;
}

export interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

const GREEDY = /\{(?:path|prefix)\}$/;

export class Router {
  readonly #routes: readonly Compiled[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => {
      const isFolder = route.template.endsWith('/');
      const parts = route.template.slice(1, isFolder ? -1 : undefined).split('/');
      const isRoot = route.template === '/';
      return { route, parts: isRoot ? [] : parts, isFolder, isGreedy: GREEDY.test(parts.at(-1) ?? '') };
    });
  }

  find({ segments, isFolder }: Target): Found | null {
    for (const compiled of this.#routes) {
      if (compiled.isFolder !== isFolder) continue;
      const params = paramsOf(compiled, segments);
      if (params !== null) return { route: compiled.route, params };
    }
    return null;
  }
}

function paramsOf({ parts, isFolder, isGreedy }: Compiled, segments: readonly string[]): Record<string, string> | null {
  const fixed = isGreedy ? parts.length - 1 : parts.length;
  const isLength = isGreedy ? segments.length >= fixed + (isFolder ? 0 : 1) : segments.length === fixed;
  if (!isLength) return null;
  const params: Record<string, string> = {};
  for (let at = 0; at < fixed; at++) {
    const part = parts[at]!;
    if (part.startsWith('{')) params[part.slice(1, -1)] = segments[at]!;
    else if (part !== segments[at]) return null;
  }
  if (isGreedy) params[parts.at(-1)!.slice(1, -1)] = segments.slice(fixed).join('/');
  return params;
}
