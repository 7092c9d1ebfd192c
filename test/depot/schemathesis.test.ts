/**
 * schemathesis asks a real depot what its OpenAPI document allows, and what it forbids: no answer may differ. The same
 * requests each time; SCHEMATHESIS_EXAMPLES=500 SCHEMATHESIS_SEED=7 asks others, so many of each operation.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startChild } from '../../lab/child.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { withDeadline } from '../../lab/wait.js';
import { hashToken } from '../../src/depot/http/tokens.js';
import { type DepotOptions, startAgent, startDepot } from '../../src/index.js';
import { requirePrograms } from '../support/requirements.js';
import { torrentOf } from './p2p/scene.js';
import { quickFolder } from './quick-folder.js';

/** Where .ci/run puts it; else on the PATH. */
const PROGRAM = process.env.SCHEMATHESIS ?? 'schemathesis';
const { SCHEMATHESIS_EXAMPLES: EXAMPLES, SCHEMATHESIS_SEED: SEED } = process.env;
const SAME = SEED === undefined ? ['--generation-deterministic'] : ['--seed', SEED];
const FIXED = ['--no-color', '--warnings', 'off', '--checks', 'all', '--request-timeout', '10', ...SAME];
const DEADLINE_MS = EXAMPLES === undefined ? 180_000 : 3_600_000;
const OWN = path.join(PACKAGE_ROOT, 'test/depot');

const CHIEF = 'haul_chief_0123456789abcdef';
const READER = 'haul_reader_0123456789abcde';
const WRITER = 'haul_writer_0123456789abcde';
const FOREIGN = 'haul_foreign_0123456789abcd';
const EXPIRED = 'haul_expired_0123456789abcd';
const LINES = `${CHIEF} admin\n${READER} read\n${WRITER} write\n${FOREIGN} read,write,delete elsewhere`;
const TOKENS: Partial<DepotOptions> = { tokenLines: LINES, anonymous: 'none' };

/** A file with one that is no more. */
async function expiredOne(folder: string): Promise<string> {
  const file = path.join(folder, 'tokens.json');
  const token = { id: 'old', hash: hashToken(EXPIRED), scopes: ['admin'], prefix: '', note: '' };
  const [created, expires] = ['2020-01-01T00:00:00.000Z', '2020-01-02T00:00:00.000Z'];
  await writeFile(file, JSON.stringify({ version: 1, tokens: [{ ...token, created, expires }] }), { mode: 0o600 });
  return file;
}
const STRANGER = 'haul_nobody_0123456789abcde';

interface Place {
  readonly scope: Scope;
  readonly url: string;
  readonly folder: string;
  /** So many cases at least are made of its document. Default: 1,000. */
  readonly least?: number;
}

/** A depot with something in it; schemathesis is told of it. */
async function openStocked(scope: Scope, options: Partial<DepotOptions>): Promise<Place> {
  const folder = await quickFolder(scope);
  const data = path.join(folder, 'depot');
  const tokens = options.tokenLines === undefined ? {} : { tokens: await expiredOne(folder) };
  const rest = { torrentFromBytes: 1, ...tokens, ...options };
  const depot = await startDepot({ data, httpPort: 0, engine: { port: 0 }, ...rest });
  scope.defer(() => depot.close(0));
  const put = async (name: string, body: Buffer): Promise<Record<string, string>> => {
    const headers = { authorization: `Bearer ${CHIEF}`, 'content-type': 'text/plain' };
    const answer = await fetch(`${depot.url}/artifacts/${name}`, { method: 'PUT', body, headers });
    assert.ok(answer.status === 201 || answer.status === 202, `${name}: ${answer.status}`);
    return (await answer.json()) as Record<string, string>;
  };
  // No test names the last one: its torrent stays.
  for (const name of ['goes', 'stays', 'folder/a', 'folder/b']) await put(name, Buffer.alloc(50_000, name));
  const { infoHash } = await put('last', Buffer.alloc(50_000, 'last'));
  const arrival = await put('coming?p2p', torrentOf('coming', Buffer.alloc(300_000, 'coming')));
  const known: Readonly<Record<string, string>> = {
    HOOKS: path.join(OWN, 'schemathesis_hooks.py'),
    TORRENT: infoHash!,
    ARRIVAL: arrival.url!.split('/').at(-1)!,
  };
  const config = await readFile(path.join(OWN, 'schemathesis.toml'), 'utf8');
  const filled = config.replaceAll(/\{([A-Z]+)\}/g, (_, word: string) => known[word]!);
  await writeFile(path.join(folder, 'schemathesis.toml'), filled);
  return described({ scope, url: depot.url, folder });
}

async function described(place: Place): Promise<Place> {
  await writeFile(path.join(place.folder, 'openapi.json'), await (await fetch(`${place.url}/openapi.json`)).text());
  return place;
}

/** An agent before such a depot. */
async function openAgent({ scope, url, folder }: Place): Promise<Place> {
  const cache = path.join(folder, 'cache');
  const agent = await startAgent({ depot: url, token: CHIEF, cache, httpPort: 0, engine: { port: 0 } });
  scope.defer(() => agent.close(0));
  return described({ scope, url: agent.url, folder, least: 500 });
}

/** @param examples null: no other values than those at the bounds of each schema. @throws what it found */
async function ask(place: Place, token: string | null, examples: number | null): Promise<void> {
  const { scope, url, folder, least = 1000 } = place;
  const who = token === null ? [] : ['--header', `Authorization: Bearer ${token}`];
  const isBounds = examples === null && EXAMPLES === undefined;
  const many = isBounds ? ['--phases', 'coverage'] : ['--max-examples', EXAMPLES ?? String(examples)];
  // Else a wrong token would not get it.
  const words = ['--config-file', 'schemathesis.toml', 'run', 'openapi.json', '--url', url, ...FIXED, ...many, ...who];
  const program = startChild(scope, PROGRAM, words, { cwd: folder, env: { PYTHONHASHSEED: '0' } });
  const { code } = await withDeadline(program.exited, PROGRAM, DEADLINE_MS);
  assert.equal(code, 0, program.tail());
  // Else nothing was shown.
  const [, generated = '0'] = /\b(\d+) generated/.exec(program.tail()) ?? [];
  assert.ok(Number(generated) >= least, generated);
}

const isMissing = (context: TestContext): Promise<boolean> => requirePrograms(context, [PROGRAM]);

test('a depot answers as its OpenAPI document says', async (context) => {
  if (await isMissing(context)) return;
  await ask(await openStocked(openScope(context), {}), null, 25);
});

test('a depot with tokens does so too, for who has all scopes, one, a wrong token or none', async (context) => {
  if (await isMissing(context)) return;
  const place = await openStocked(openScope(context), TOKENS);
  // Who changes nothing comes first. Most of them are asked for when many requests are.
  const others = EXAMPLES === undefined ? [null, READER, WRITER] : [STRANGER, null, READER, EXPIRED, FOREIGN, WRITER];
  for (const token of others) await ask(place, token, null);
  await ask(place, CHIEF, 40);
});

test('an agent answers as its own document says', async (context) => {
  if (await isMissing(context)) return;
  const place = await openAgent(await openStocked(openScope(context), TOKENS));
  if (EXAMPLES !== undefined) for (const token of [EXPIRED, FOREIGN]) await ask(place, token, 10);
  await ask(place, null, 10);
});
