/**
 * The Actions cache's door on an agent: a job's runner names the agent of its own host. What is saved is published at
 * the depot with the agent's token, what is restored comes as any artifact does: from the cache, the swarm, the depot.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { HaulError } from '../../errors.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { jsonOf, rowOfInfo } from '../depot-said.js';
import { type CacheKey, entryName, entryPrefix } from '../doors/cache-names.js';
import type { OpenCacheDoor } from '../doors/cache-of-depot.js';
import { cacheRoutes } from '../doors/cache-routes.js';
import { CacheService, type CacheStore } from '../doors/cache-service.js';
import { Tickets } from '../doors/tickets.js';
import { Problem } from '../http/problems.js';
import type { Answer, Exchange } from '../http/route.js';
import { encodePath } from '../http/target.js';
import type { PublishRequest } from '../publish-port.js';
import { asProblem } from './answer-read.js';
import { drop, readAnswer, refusal } from './depot-answers.js';
import type { AnswerBody, DepotPort } from './depot-port.js';
import { DepotLies } from './depot-trouble.js';
import type { Directory } from './directory.js';
import { AGENT_LIMITS } from './limits.js';
import type { PutFill } from './put-fill.js';
import { trickling } from './trickle.js';

export interface CacheOfAgentOptions {
  /** Ours alone; emptied at the start. */
  readonly folder: string;
  readonly client: DepotPort;
  readonly directory: Directory;
  readonly fill: PutFill;
  /** The bytes of a name, or a range of them. @throws Problem */
  readonly bytes: (exchange: Exchange, name: string) => Promise<Answer>;
}

const HIT = z.object({ cacheKey: z.string().min(1).max(512) });

/** The depot's own door knows which entry is the latest: asked in the words of v1. @throws DepotAway, DepotLies */
async function newest({ client, directory }: CacheOfAgentOptions, entry: CacheKey): Promise<ArtifactRow | null> {
  const query = new URLSearchParams({ keys: entry.key, version: entry.version, begins: 'true' });
  const answer = await client.ask(`/_apis/artifactcache/cache?${query}`, { timeoutMs: AGENT_LIMITS.answerMs });
  // A depot of before has no such door.
  if (answer.status === 204 || answer.status === 404) {
    drop(answer.body);
    return null;
  }
  if (answer.status !== 200) throw await refusal(answer);
  const { infoBytes, answerMs } = AGENT_LIMITS;
  const hit = HIT.safeParse(jsonOf(await readAnswer(answer.body, infoBytes, answerMs)));
  const found = hit.success ? nameOrNull({ key: hit.data.cacheKey, version: entry.version }) : null;
  if (found === null || !found.startsWith(entryPrefix(entry)))
    throw new DepotLies('it gave an entry of the Actions cache whose key begins in another way');
  return (await directory.resolve(found))?.row ?? null;
}

function isAway(failure: unknown): boolean {
  return failure instanceof Problem && failure.code === 'DEPOT_AWAY';
}

/** Only what can be given out: a job that restores nothing goes on, one that is promised an entry waits for it. */
function newestHere(directory: Directory, entries: readonly CacheKey[]): ArtifactRow | null {
  for (const entry of entries) {
    const row = directory.newestHere(entryPrefix(entry));
    if (row !== null) return row;
  }
  return null;
}

function nameOrNull(entry: CacheKey): string | null {
  try {
    return entryName(entry);
  } catch {
    return null;
  }
}

/** @throws HaulError FILE_EXISTS, Problem, DepotAway */
async function publish(
  { client, directory, fill }: CacheOfAgentOptions,
  { name, lengthBytes, body, signal }: PublishRequest,
): Promise<void> {
  const copy = fill.copy(lengthBytes);
  let row: ArtifactRow | null = null;
  try {
    const answer = await put(client, { name, lengthBytes, body: copy?.passing(body) ?? body, signal });
    const said = await readAnswer(answer, AGENT_LIMITS.infoBytes, AGENT_LIMITS.answerMs).catch(() => null);
    // It is there, whatever of the answer could be read.
    row = said === null ? null : rowOfInfo(name, said);
  } finally {
    directory.changed(name, row);
    if (copy !== null) void fill.ended(copy, row);
  }
}

type Put = Pick<PublishRequest, 'name' | 'lengthBytes' | 'body' | 'signal'>;

/** The body of the answer to what was taken. @throws as `publish` */
async function put(client: DepotPort, { name, lengthBytes, body, signal }: Put): Promise<AnswerBody> {
  const answer = await client.ask(`/${encodePath(name)}`, {
    lane: 'upload',
    method: 'PUT',
    headers: {
      'if-none-match': '*',
      'content-type': 'application/octet-stream',
      ...(lengthBytes === null ? {} : { 'content-length': String(lengthBytes) }),
    },
    ...(lengthBytes === 0 ? {} : { body }),
    timeoutMs: AGENT_LIMITS.uploadMs,
    signal,
  });
  const { status } = answer;
  if (status < 300) return answer.body;
  if (status === 409 || status === 412) {
    drop(answer.body);
    throw new HaulError('FILE_EXISTS', 'an entry with this key and version is there, and entries never change');
  }
  if (status >= 400) throw await refusal(answer);
  drop(answer.body);
  throw new DepotLies(`it answered ${status} to an upload`);
}

/** @throws HaulError of the file system */
export async function openCacheOfAgent(options: CacheOfAgentOptions): Promise<OpenCacheDoor> {
  const { directory } = options;
  const told = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw asProblem(error);
    }
  };
  const store: CacheStore = {
    find: async (name) => (await told(directory.resolve(name)))?.row ?? null,
    newest: (entry) => told(newest(options, entry)),
    without: (failure, entries) => (isAway(failure) ? newestHere(directory, entries) : null),
    publish: (request) => told(publish(options, request)),
  };
  const service = await CacheService.open({
    store,
    folder: join(options.folder, 'actions-cache'),
    monotonic: () => performance.now(),
  });
  const routes = cacheRoutes({
    service,
    tickets: new Tickets(() => performance.now()),
    bytes: async (exchange, name) => {
      const answer = await options.bytes(exchange, name);
      const { body } = answer;
      return typeof body === 'object' && 'open' in body ? { ...answer, body: trickling(body) } : answer;
    },
  });
  return { routes, tick: () => service.sweep(), close: () => service.close() };
}
