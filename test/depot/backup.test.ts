/**
 * Backup and restore of depots on S3, PostgreSQL and Redis, as docs/scale.md has it, while they serve: what was
 * acknowledged before it began is there again, and of what came meanwhile nothing has wrong bytes.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { PostgresServer } from '../../lab/postgres.js';
import { REDIS, startRedis } from '../../lab/redis.js';
import { MOTO, S3_KEYS, type S3Server, startAnyS3 } from '../../lab/s3-server.js';
import { openScope, type Scope } from '../../lab/scope.js';
import { until } from '../../lab/wait.js';
import { startDepot } from '../../src/depot/depot.js';
import type { Depot } from '../../src/index.js';
import { haulWith } from '../cli/harness.js';
import { requirePrograms, skipWithout } from '../support/requirements.js';
import { ask } from './cluster.js';
import { bytesOf, KIB, MIB, sha256 } from './depot-kit.js';
import { MISSING, postgresKit } from './postgres-kit.js';
import { quickFolder } from './quick-folder.js';

Object.assign(process.env, S3_KEYS);

const SOON_MS = 30_000;
const LENGTHS = [0, 5 * KIB, 70 * KIB, 5 * MIB];
const BEFORE = 24;
/** Published before the second step begins, and while it goes on. */
const MEANWHILE = 8;
const PREFIX = 'ci/main';

const SECRETS = "select encode(secret, 'hex'), encode(id, 'hex') from haul.depot";

const kit = postgresKit();

interface Place {
  readonly s3: S3Server;
  readonly catalogue: string;
  readonly peers: string;
}

async function open(scope: Scope, { s3, catalogue, peers }: Place): Promise<Depot> {
  const data = join(await quickFolder(scope), 'data');
  const depot = await startDepot({ data, catalogue, peers, store: s3.url(PREFIX), httpPort: 0, engine: { port: 0 } });
  scope.defer(() => depot.close(0));
  return depot;
}

async function put(depot: Depot, name: string, bytes: Buffer): Promise<void> {
  const answer = await ask(`${depot.url}/artifacts/${name}?overwrite=true`, { method: 'PUT', body: bytes });
  assert.ok(answer?.status === 201 || answer?.status === 200, `${name}: ${answer?.status} ${answer?.bytes}`);
}

function clientOf(scope: Scope, { endpoint }: S3Server): S3Client {
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
  scope.defer(() => client.destroy());
  return client;
}

/** One object after the other in the order of their keys, as the tools do it. @returns how many */
async function copyBucket(from: S3Client, to: S3Client, Bucket: string): Promise<number> {
  let count = 0;
  let token: string | undefined;
  do {
    const page: ListObjectsV2CommandOutput = await from.send(
      new ListObjectsV2Command({ Bucket, MaxKeys: 10, ContinuationToken: token }),
    );
    for (const { Key } of page.Contents ?? []) {
      const found = await from.send(new GetObjectCommand({ Bucket, Key })).catch((error: Error) => {
        // It went meanwhile.
        if (error.name === 'NoSuchKey') return null;
        throw error;
      });
      if (found === null) continue;
      const Body = await found.Body!.transformToByteArray();
      await to.send(new PutObjectCommand({ Bucket, Key, Body }));
      count++;
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return count;
}

/** Goes on until it is stopped: new names, and a few that change again and again. */
class Work {
  /** Digests that a name had. */
  readonly told = new Map<string, Set<string>>();
  count = 0;
  isStopped = false;

  async run(depots: readonly Depot[]): Promise<void> {
    while (!this.isStopped) {
      const number = this.count;
      const depot = depots[number % depots.length]!;
      const bytes = bytesOf(LENGTHS[number % 3]!, 1000 + number);
      const name = number % 4 === 3 ? `hot/${number % 3}` : `late/${number}`;
      this.told.set(name, (this.told.get(name) ?? new Set()).add(sha256(bytes)));
      await put(depot, name, bytes);
      if (number % 5 === 4) await ask(`${depot.url}/artifacts/late/${number - 2}`, { method: 'DELETE' });
      this.count++;
    }
  }
}

test('a backup that was taken while depots serve is restored into fresh servers', async (t) => {
  if (skipWithout(t, MISSING) || (await requirePrograms(t, [REDIS]))) return;
  const scope = openScope(t);
  const [s3, backup, fresh] = [await startAnyS3(scope), await startAnyS3(scope), await startAnyS3(scope)];
  if (s3 === null || backup === null || fresh === null) {
    await requirePrograms(t, [MOTO]);
    return;
  }
  const place = { s3, catalogue: kit.server.url(), peers: (await startRedis(scope)).url };
  const depots = [await open(scope, place), await open(scope, place)];
  const before = new Map<string, string>();
  for (let k = 0; k < BEFORE; k++) {
    const bytes = bytesOf(LENGTHS[k % LENGTHS.length]!, k);
    await put(depots[k % 2]!, `before/${k}`, bytes);
    before.set(`before/${k}`, sha256(bytes));
  }
  const work = new Work();
  const working = work.run(depots);
  working.catch(() => {});
  const goesOn = async (count: number): Promise<void> => {
    const enough = work.count + count;
    await Promise.race([until('more is published', SOON_MS, () => work.count >= enough), working]);
  };

  // First the names, then the blobs.
  await goesOn(1);
  const dump = join(kit.server.folder, 'names.dump');
  const words = ['-Fc', '--schema=haul', '--exclude-table-data=haul.leases', '-f', dump];
  await kit.server.run('pg_dump', '-d', 'postgres', ...words);
  await goesOn(MEANWHILE);
  const copied = await copyBucket(clientOf(scope, s3), clientOf(scope, backup), s3.bucket);
  work.isStopped = true;
  await working;
  for (const depot of depots) await depot.close(0);

  const restored = await PostgresServer.start(scope);
  await restored.run('pg_restore', '-d', 'postgres', dump);
  await copyBucket(clientOf(scope, backup), clientOf(scope, fresh), fresh.bucket);
  const there = { s3: fresh, catalogue: restored.url(), peers: (await startRedis(scope)).url };
  const data = join(await quickFolder(scope), 'data');
  const at = ['--data', data, '--store', fresh.url(PREFIX), '--catalogue', there.catalogue];
  const rebuilt = await haulWith(S3_KEYS, 'depot', 'rebuild', '--json', ...at);
  assert.equal(rebuilt.exitCode, 0, rebuilt.stderr);

  const depot = await open(scope, there);
  for (const [name, digest] of before) {
    const answer = await ask(`${depot.url}/artifacts/${name}`);
    assert.equal(answer?.status, 200, name);
    assert.equal(sha256(answer.bytes), digest, name);
  }
  let late = 0;
  for (const [name, digests] of work.told) {
    const answer = await ask(`${depot.url}/artifacts/${name}`);
    if (answer?.status === 200) assert.ok(digests.has(sha256(answer.bytes)), name);
    else assert.equal(answer?.status, 404, name);
    late += Number(answer?.status === 200);
  }
  await depot.close(0);
  const checked = await haulWith(S3_KEYS, 'depot', 'check', ...at);
  assert.equal(checked.exitCode, 0, `${checked.stdout}${checked.stderr}`);
  // Announce URLs that are out hold.
  const secretOf = async (server: PostgresServer) => server.run('psql', '-d', 'postgres', '-Atc', SECRETS);
  assert.equal(await secretOf(restored), await secretOf(kit.server));
  const { names, found } = rebuilt.lines.find(({ type }) => type === 'rebuilt') as unknown as Record<string, unknown>;
  t.diagnostic(`${copied} objects, ${names} names, ${late} of ${work.told.size} that came meanwhile, ${found} found`);
});
