/** The query of a request, checked against what its operation takes. */
import { Problem } from './problems.js';
import type { Operation } from './route.js';
import { parseQuery } from './target.js';

type Query = Readonly<Record<string, unknown>>;

/** Of operations that may be asked without one: what comes of that. Most requests have none. */
const empty = new WeakMap<object, Query>();

/** What comes of no query is found out before somebody asks: to compile a schema takes a millisecond. */
export function prepareQuery({ query }: Pick<Operation, 'query'>): void {
  if (query === null) return;
  const parsed = query.safeParse({});
  if (parsed.success) empty.set(query, Object.freeze(parsed.data));
}

/** @throws Problem 400 */
export function queryOf({ query, id }: Pick<Operation, 'query' | 'id'>, raw: string): Query {
  if (query === null) return {};
  const known = raw === '' ? empty.get(query) : undefined;
  if (known !== undefined) return known;
  const pairs = parseQuery(raw);
  if (typeof pairs === 'string') throw new Problem(400, 'BAD_QUERY', pairs);
  // Caches are told apart by what nobody looks at; where something is changed a word that is not known is a mistake.
  const parsed = query.safeParse(Object.fromEntries(pairs));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? id : issue.path.join('.');
    throw new Problem(400, 'BAD_QUERY', `query: ${where}: ${issue?.message ?? 'is not understood'}`);
  }
  return parsed.data;
}
