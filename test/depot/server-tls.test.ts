/** PostgreSQL, Redis and S3 by TLS with an authority of one's own: who is not trusted is told in a line. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { freePort } from '../../lab/ports.js';
import { PostgresServer } from '../../lab/postgres.js';
import { REDIS, RedisServer } from '../../lab/redis.js';
import { S3_KEYS, startVersitygw, VERSITYGW } from '../../lab/s3-server.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { until } from '../../lab/wait.js';
import { openPostgresCatalogue } from '../../src/depot/catalogue/postgres/open.js';
import { HaulError } from '../../src/errors.js';
import { Running } from '../cli/harness.js';
import { CERTIFICATE, PRIVATE_KEY, RENEWED_CERTIFICATE } from '../support/certificate.js';
import { requirePrograms, skipUnlessInstalled, skipWithout } from '../support/requirements.js';
import { MISSING, SETTINGS } from './postgres-kit.js';
import { quickFolder } from './quick-folder.js';

const SECRET = 'pa55-of-the-depot';
const SOON_MS = 30_000;
const UNTRUSTED = /its certificate is not trusted here; NODE_EXTRA_CA_CERTS=FILE names an authority/;
const OTHER_NAME = /its certificate is for another name/;

interface Files {
  readonly cert: string;
  readonly key: string;
  /** An authority that signed nothing here. */
  readonly otherCa: string;
}

async function writeFiles(scope: Scope): Promise<Files> {
  const folder = await tempFolder(scope);
  const [cert, key, otherCa] = [join(folder, 'cert.pem'), join(folder, 'key.pem'), join(folder, 'other.pem')];
  await writeFile(cert, CERTIFICATE);
  await writeFile(key, PRIVATE_KEY, { mode: 0o600 });
  await writeFile(otherCa, RENEWED_CERTIFICATE);
  return { cert, key, otherCa };
}

/** Of TCP it takes TLS alone, with the password. */
async function startPostgres(scope: Scope): Promise<PostgresServer> {
  const port = await freePort('127.0.0.1');
  const settings = ['listen_addresses=127.0.0.1,127.0.0.2'];
  const server = await PostgresServer.start(scope, settings, undefined, port);
  const [cert, key] = [await server.write('cert.pem', CERTIFICATE), await server.write('key.pem', PRIVATE_KEY)];
  await server.write('data/pg_hba.conf', 'local all all trust\nhostssl all all all scram-sha-256\n');
  for (const [name, value] of Object.entries({ ssl_cert_file: cert, ssl_key_file: key, ssl: 'on' }))
    await server.run('psql', '-d', 'postgres', '-qc', `alter system set ${name} = '${value}'`);
  await server.run('psql', '-d', 'postgres', '-qc', `create role depot login password '${SECRET}'`);
  await server.run('psql', '-d', 'postgres', '-qc', 'grant create on database postgres to depot');
  await server.stop();
  await server.restart(settings);
  return server;
}

async function startTlsRedis(scope: Scope, { cert, key }: Files): Promise<RedisServer> {
  const port = await freePort('127.0.0.1');
  const words = [
    '--port',
    '0',
    '--tls-port',
    String(port),
    '--bind',
    '127.0.0.1',
    '127.0.0.2',
    '--requirepass',
    SECRET,
  ];
  words.push('--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no');
  const server = new RedisServer(await tempFolder(scope), port, words, ([command = '', ...rest]) => [command, rest]);
  scope.defer(() => server.stop());
  await server.start();
  return server;
}

/** As a person runs it. @param ca of NODE_EXTRA_CA_CERTS */
async function startTrusting(t: TestContext, ca: string, ...words: string[]): Promise<Running> {
  const data = join(await quickFolder(openScope(t)), 'data');
  const all = ['depot', '--data', data, '--http', '0', '--port', '0', '--verbose', '--json', ...words];
  const running = new Running(all, { ...S3_KEYS, NODE_EXTRA_CA_CERTS: ca, PGPASSWORD: SECRET });
  t.after(() => running.stop('SIGKILL'));
  return running;
}

const listening = async (running: Running): Promise<string> =>
  String((await running.line(({ type }) => type === 'listening')).url);

/** All that it said. */
async function endOf(running: Running): Promise<string> {
  const { stdout, stderr } = await running.stop('SIGTERM');
  return `${stdout}${stderr}`;
}

async function peersCheck(url: string): Promise<string> {
  const { checks } = (await (await fetch(`${url}/readyz`)).json()) as { checks: { name: string; message: string }[] };
  return checks.find(({ name }) => name === 'peers')!.message;
}

const suite = MISSING === null ? describe : describe.skip;
if (MISSING !== null) test('PostgreSQL', (t) => void skipWithout(t, MISSING));

suite('servers by TLS', () => {
  test('PostgreSQL by verify-full: the right authority and name, and no others', async (t) => {
    const scope = openScope(t);
    const { cert, otherCa } = await writeFiles(scope);
    const { port } = await startPostgres(scope);
    const at = (host: string, query: string): string =>
      `postgres://depot:${SECRET}@${host}:${port}/postgres${query === '' ? '' : `?${query}`}`;
    const open = (url: string) => openPostgresCatalogue(url, { settings: SETTINGS, hasBlobs: async () => false });
    const refused = async (url: string, code: string, text: RegExp): Promise<void> => {
      const beganMs = performance.now();
      const error: unknown = await open(url).then(
        () => assert.fail('it was opened'),
        (failure: unknown) => failure,
      );
      assert.ok(HaulError.is(error), String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      assert.doesNotMatch(error.message, /\n/);
      const all = `${error.message}${error.stack}${JSON.stringify(error.facts)}${String(error.cause)}`;
      assert.ok(!all.includes(SECRET), all);
      t.diagnostic(`${Math.round(performance.now() - beganMs)} ms: ${error.message}`);
    };
    const trusting = `sslmode=verify-full&sslrootcert=${encodeURIComponent(cert)}`;
    await refused(at('127.0.0.1', trusting.replace(encodeURIComponent(cert), otherCa)), 'NETWORK', UNTRUSTED);
    await refused(at('127.0.0.1', 'sslmode=verify-full'), 'NETWORK', UNTRUSTED);
    await refused(at('127.0.0.2', trusting), 'NETWORK', OTHER_NAME);
    await refused(at('127.0.0.1', ''), 'NO_PERMISSION', /no pg_hba\.conf entry .*no encryption/);
    await refused(at('127.0.0.1', `${trusting}x`), 'BAD_ARGUMENT', /a file that its URL names cannot be read: ENOENT/);
    const catalogue = await open(at('127.0.0.1', trusting));
    await catalogue.close();
  });

  test('all of them with NODE_EXTRA_CA_CERTS, and nothing secret is said', async (t) => {
    if (await requirePrograms(t, [REDIS])) return;
    const scope = openScope(t);
    const files = await writeFiles(scope);
    const [postgres, redis] = [await startPostgres(scope), await startTlsRedis(scope, files)];
    const catalogue = `postgres://depot@localhost:${postgres.port}/postgres?sslmode=verify-full`;
    const peers = `rediss://:${SECRET}@localhost:${redis.port}`;
    const running = await startTrusting(t, files.cert, '--catalogue', catalogue, '--peers', peers);
    const url = await listening(running);
    assert.equal((await fetch(`${url}/artifacts/a`, { method: 'PUT', body: 'a' })).status, 201);
    assert.equal(await peersCheck(url), '');
    const said = [await endOf(running)];
    for (const [ca, host, wanted] of [
      [files.otherCa, '127.0.0.1', UNTRUSTED],
      [files.cert, '127.0.0.2', OTHER_NAME],
    ] as const) {
      // Peers of others are no condition of a start.
      const apart = await startTrusting(t, ca, '--peers', peers.replace('localhost', host));
      const there = await listening(apart);
      await until('it says why', SOON_MS, async () => wanted.test(await peersCheck(there)));
      said.push(await endOf(apart));
      assert.match(said.at(-1)!, wanted);
    }
    for (const text of said) assert.ok(!text.includes(SECRET), text);
  });

  test('S3 by https', async (t) => {
    if (await skipUnlessInstalled(t, [VERSITYGW])) return;
    const scope = openScope(t);
    const { cert, key, otherCa } = await writeFiles(scope);
    const { endpoint } = await startVersitygw(scope, undefined, undefined, { cert, key });
    const store = (host: string): string => `s3://artifacts/tls?endpoint=${endpoint.replace('127.0.0.1', host)}`;
    const running = await startTrusting(t, cert, '--store', store('localhost'));
    const url = await listening(running);
    assert.equal((await fetch(`${url}/artifacts/a`, { method: 'PUT', body: 'a' })).status, 201);
    const said = [await endOf(running)];
    for (const [ca, host, wanted] of [
      [otherCa, 'localhost', UNTRUSTED],
      [cert, '127.0.0.2', OTHER_NAME],
    ] as const) {
      const { exitCode, stdout, stderr } = await (await startTrusting(t, ca, '--store', store(host))).finished;
      assert.equal(exitCode, 1);
      assert.match(stderr, wanted);
      said.push(`${stdout}${stderr}`);
    }
    for (const text of said) assert.ok(!text.includes(S3_KEYS.AWS_SECRET_ACCESS_KEY), text);
  });
});
