/** Names below a prefix, page by page. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ArtifactRow } from '../catalogue/port.js';
import { fullName } from '../names.js';
import { COMMON_ANSWERS, jsonBody } from './artifact-routes.js';
import { folderOf, folderWish } from './folder-routes.js';
import type { Inside } from './inside.js';
import { DEPOT_HTTP_LIMITS } from './limits.js';
import { rowTexts, timeOrNever } from './listing-text.js';
import { type NameTest, namePattern } from './name-pattern.js';
import { Problem } from './problems.js';
import type { Answer, Exchange, Operation, Route } from './route.js';
import { FOLDER_QUERY, NAME_PART } from './schemas.js';
import { TextSlices } from './text-slices.js';
import { checkGrant } from './tokens.js';

const SPACE = 'artifacts/';
const PROBLEM = { type: 'application/problem+json', schema: 'Problem' } as const;

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

/** Of what goes next by itself, as JSON texts. */
async function upcomingOf(
  inside: Inside,
  prefix: string,
  limit: number,
  test: NameTest,
  textOf: (row: ArtifactRow) => string,
): Promise<string[]> {
  let work = 0;
  const isWanted = (name: string): boolean | Promise<boolean> => {
    if (!name.startsWith(prefix)) return false;
    work += test.steps * name.length;
    const answer = test(name);
    if (work < DEPOT_HTTP_LIMITS.listWork) return answer;
    // There is no cursor to go on with: the others get a turn.
    work = 0;
    return nextTurn(answer);
  };
  return (await inside.upcoming(limit, isWanted)).map(({ row, reason, atMs, obstacle }) => {
    const next = { reason, at: timeOrNever(atMs), obstacle };
    return `${textOf(row).slice(0, -1)},"next":${JSON.stringify(next)}}`;
  });
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
  const wish = folderWish(query);
  if (wish !== null) return folderOf(exchange, inside, prefix, wish);
  const { pattern, cursor, order } = query as { pattern?: string; cursor?: string; order?: string };
  const limit = (query.limit as number | undefined) ?? DEPOT_HTTP_LIMITS.listRowsDefault;
  const test = testOf(pattern, prefix);
  const textOf = rowTexts(base, inside.passkeyOf(grant.token));
  if (order === 'expiring') return listingText(prefix, await upcomingOf(inside, prefix, limit, test, textOf), null);
  const page = await pageOf(inside, prefix, cursorOf(cursor, prefix), limit, test);
  return listingText(prefix, texts(page.rows, textOf), page.cursor);
}

function listingText(prefix: string, items: Iterable<string>, cursor: string | null): Answer {
  const text = new TextSlices();
  text.add(`{"prefix":${JSON.stringify(prefix.slice(SPACE.length))},"items":[`);
  let isFirst = true;
  for (const item of items) {
    text.add(isFirst ? item : `,${item}`);
    isFirst = false;
  }
  text.add(`],"cursor":${cursor === null ? 'null' : `"${Buffer.from(cursor).toString('base64url')}"`}}\n`);
  return jsonBody(text.body());
}

function* texts(rows: readonly ArtifactRow[], textOf: (row: ArtifactRow) => string): Generator<string> {
  for (const row of rows) yield textOf(row);
}

export function listingRoutes(inside: Inside): Route[] {
  const get: Operation = {
    id: 'listArtifacts',
    summary: 'What is below a prefix; the slash at the end makes it a listing. Or all of it as one torrent',
    scope: 'read',
    query: FOLDER_QUERY,
    answers: {
      200: {
        description: 'one page of it; with ?info what is known of its torrent',
        type: 'application/json',
        schema: 'ListingOrFolder',
        others: { 'application/x-bittorrent': null, 'text/plain': null },
      },
      ...COMMON_ANSWERS,
      404: { description: 'the cursor is of another listing, or there is no torrent', ...PROBLEM },
      409: { description: 'no torrent: a name is an artifact and a folder at once', ...PROBLEM },
      413: { description: 'no torrent: there is too much below the prefix', ...PROBLEM },
      507: { description: 'no torrent: there is no space to keep it', ...PROBLEM },
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
