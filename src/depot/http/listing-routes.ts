/** Names below a prefix, page by page. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ArtifactRow } from '../catalogue/port.js';
import { fullName } from '../names.js';
import { COMMON_ANSWERS, jsonText } from './artifact-routes.js';
import type { Inside } from './inside.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { rowTexts } from './listing-text.js';
import { type NameTest, namePattern } from './name-pattern.js';
import { Problem } from './problems.js';
import type { Answer, Exchange, Operation, Route } from './route.js';
import { LIST_QUERY, NAME_PART } from './schemas.js';
import { checkGrant } from './tokens.js';

const SPACE = 'artifacts/';

interface Page {
  readonly rows: readonly ArtifactRow[];
  readonly cursor: string | null;
}

function testOf(pattern: string | undefined, prefix: string): NameTest {
  if (pattern === undefined) return Object.assign(() => true, { steps: 0 });
  const test = namePattern(pattern);
  if (typeof test === 'string') throw new Problem(400, 'BAD_ARGUMENT', test);
  return Object.assign((name: string) => test(name.slice(prefix.length)), { steps: test.steps });
}

/** Looks on until the page is full or it has done enough: then the cursor says where to go on. */
async function pageOf(
  inside: Inside,
  prefix: string,
  begin: string | null,
  limit: number,
  test: NameTest,
): Promise<Page> {
  const rows: ArtifactRow[] = [];
  let cursor = begin;
  let looked = 0;
  let work = 0;
  do {
    const page = await inside.catalogue.list({ prefix, cursor, limit: DEPOT_HTTP_LIMITS.listRows });
    for (const row of page.rows) {
      looked++;
      work += test.steps * row.name.length;
      if (test(row.name)) rows.push(row);
      if (rows.length < limit && work < DEPOT_HTTP_LIMITS.listWork) continue;
      const isLast = row === page.rows.at(-1) && page.cursor === null;
      return { rows, cursor: isLast ? null : row.name };
    }
    cursor = page.cursor;
  } while (cursor !== null && looked < DEPOT_HTTP_LIMITS.listLooked);
  return { rows, cursor };
}

/** Those below the prefix of what goes next by age; others may go before them, so it looks at as many as a pattern. */
async function expiringOf(inside: Inside, prefix: string, limit: number, test: NameTest): Promise<Page> {
  const rows: ArtifactRow[] = [];
  let after: ArtifactRow | null = null;
  let work = 0;
  for (let looked = 0; looked < DEPOT_HTTP_LIMITS.listLooked; looked += DEPOT_HTTP_LIMITS.listRows) {
    const page: readonly ArtifactRow[] = await inside.catalogue.expiring(Infinity, DEPOT_HTTP_LIMITS.listRows, after);
    for (const row of page) {
      if (!row.name.startsWith(prefix)) continue;
      work += test.steps * row.name.length;
      if (test(row.name)) rows.push(row);
      if (rows.length === limit) return { rows, cursor: null };
      if (work < DEPOT_HTTP_LIMITS.listWork) continue;
      // There is no cursor to go on with: the others get a turn.
      work = 0;
      await nextTurn();
    }
    if (page.length < DEPOT_HTTP_LIMITS.listRows) break;
    after = page.at(-1)!;
  }
  return { rows, cursor: null };
}

function cursorOf(text: string | undefined, prefix: string): string | null {
  if (text === undefined) return null;
  const name = /^[A-Za-z0-9_-]+$/.test(text) ? Buffer.from(text, 'base64url').toString('utf8') : '';
  if (!name.startsWith(prefix))
    throw new Problem(404, 'NOT_FOUND', 'there is no such page: the cursor is not of this listing');
  return name;
}

async function list(exchange: Exchange, inside: Inside): Promise<Answer> {
  const { grant, base, query } = exchange;
  const path = exchange.params.prefix!;
  const prefix = path === '' ? SPACE : `${fullName('artifacts', path)}/`;
  checkGrant(grant, 'read', prefix);
  const { pattern, cursor, order } = query as { pattern?: string; cursor?: string; order?: string };
  const limit = (query.limit as number | undefined) ?? DEPOT_HTTP_LIMITS.listRowsDefault;
  const test = testOf(pattern, prefix);
  const page =
    order === 'expiring'
      ? await expiringOf(inside, prefix, limit, test)
      : await pageOf(inside, prefix, cursorOf(cursor, prefix), limit, test);
  const passkey = inside.passkeyOf(grant.token);
  const next = page.cursor === null ? null : Buffer.from(page.cursor).toString('base64url');
  const items = page.rows.map(rowTexts(base, passkey)).join(',');
  return jsonText(
    `{"prefix":${JSON.stringify(prefix.slice(SPACE.length))},"items":[${items}],"cursor":${
      next === null ? 'null' : `"${next}"`
    }}`,
  );
}

export function listingRoutes(inside: Inside): Route[] {
  const get: Operation = {
    id: 'listArtifacts',
    summary: 'What is below a prefix; the slash at the end makes it a listing',
    scope: 'read',
    query: LIST_QUERY,
    answers: {
      200: { description: 'one page of it', type: 'application/json', schema: 'Listing' },
      ...COMMON_ANSWERS,
      404: { description: 'the cursor is of another listing', type: 'application/problem+json', schema: 'Problem' },
    },
    handle: (exchange) => list(exchange, inside),
  };
  return [
    {
      template: '/artifacts/{prefix}/',
      params: { prefix: { schema: NAME_PART, description: 'Parts of names; without any: all artifacts' } },
      operations: { GET: get },
    },
  ];
}
