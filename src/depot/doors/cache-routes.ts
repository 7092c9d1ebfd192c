/**
 * The Actions cache over HTTP: v1 below `_apis/artifactcache/`, v2 as Twirp with JSON, and the links that both give
 * out, which a client uses without a token: uploads of v2 in the words of Azure's block blobs, downloads of both.
 */
import { z } from 'zod';
import { COMMON_ANSWERS, json, notFound } from '../http/artifact-routes.js';
import { Problem } from '../http/problems.js';
import type { Answer, Exchange, Method, Operation, Refusal, Route } from '../http/route.js';
import { checkGrant, type Scope } from '../http/tokens.js';
import { refusalBlob, refusalTwirp, refusalV1, smallBody } from './cache-answers.js';
import { entryName } from './cache-names.js';
import {
  blockIdOf,
  blockListOf,
  COMMIT_V1,
  CREATE_V2,
  contentRangeOf,
  FINALIZE_V2,
  LOOKUP_V2,
  RESERVE_V1,
  readJson,
} from './cache-requests.js';
import type { CacheService, FoundEntry } from './cache-service.js';
import type { CacheUpload, PartBody } from './cache-upload.js';
import { CACHE_LIMITS } from './limits.js';
import type { Tickets } from './tickets.js';

export interface CacheDoor {
  readonly service: CacheService;
  readonly tickets: Tickets;
  /** The bytes of a name, or a range of them. @throws Problem 404 */
  readonly bytes: (exchange: Exchange, name: string) => Promise<Answer>;
}

type Work = (exchange: Exchange) => Promise<Answer>;

function route(
  refusal: Refusal,
  template: string,
  operations: Partial<Record<Method, [scope: Scope | null, work: Work]>>,
): Route {
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  return {
    template,
    params: Object.fromEntries(names.map((name) => [name, { schema: z.string(), description: name }])),
    operations: Object.fromEntries(
      Object.entries(operations).map(([method, [scope, handle]]) => {
        const operation: Operation = {
          id: `${method} ${template}`,
          summary: 'Of the Actions cache',
          scope,
          query: z.object({}).loose(),
          answers: COMMON_ANSWERS,
          handle,
          refusal,
        };
        return [method, operation];
      }),
    ),
  };
}

async function bodyOf({ request, body, signal }: Exchange): Promise<PartBody> {
  const stated = request.headers['content-length'];
  const isEmpty = stated === undefined && request.headers['transfer-encoding'] === undefined;
  return { body: await body(), signal, lengthBytes: isEmpty ? 0 : stated === undefined ? null : Number(stated) };
}

function word(exchange: Exchange, name: string): string {
  const value = exchange.query[name];
  if (typeof value !== 'string') throw new Problem(400, 'BAD_ARGUMENT', `the query has no ${name}`);
  return value;
}

function downloadLink(door: CacheDoor, { base }: Exchange, name: string): string {
  return `${base}/actions-cache/download/${door.tickets.make('download', name, CACHE_LIMITS.linkMs)}`;
}

/**
 * What the token may read of them: asked before anything is looked for, so that the answer is the same whether an
 * entry is there or not. @throws Problem 401, 403
 */
async function lookUp(
  { grant }: Exchange,
  service: CacheService,
  { keys, version, wholeKey }: { keys: readonly string[]; version: string; wholeKey: boolean },
): Promise<FoundEntry | null> {
  for (const key of keys) checkGrant(grant, 'read', entryName({ key, version }));
  return service.lookup(keys, version, wholeKey);
}

export function cacheRoutes(door: CacheDoor): Route[] {
  return [...routesV1(door), ...routesV2(door), ...linkRoutes(door)];
}

const GONE = 'there is no such upload, or not any more';

function routesV1(door: CacheDoor): Route[] {
  const { service } = door;
  const uploadOf = (exchange: Exchange): CacheUpload => {
    const id = exchange.params.id!;
    const upload = /^\d{1,15}$/.test(id) ? service.upload(Number(id)) : null;
    if (upload === null) throw notFound(GONE);
    checkGrant(exchange.grant, 'write', upload.name);
    return upload;
  };
  const lookup = async (exchange: Exchange) => {
    const version = word(exchange, 'version');
    const keys = word(exchange, 'keys')
      .split(',')
      .filter((key) => key !== '');
    // Not of the protocol: an agent asks so what begins with a key.
    const wholeKey = exchange.query.begins !== 'true';
    const found = await lookUp(exchange, service, { keys, version, wholeKey });
    if (found === null) return { status: 204 };
    const { key, row } = found;
    const creationTime = new Date(row.createdMs).toISOString();
    const archiveLocation = downloadLink(door, exchange, row.name);
    return json(200, { result: 'hit', archiveLocation, cacheKey: key, scope: '', creationTime });
  };
  const reserve = async (exchange: Exchange) => {
    const bytes = await smallBody(exchange, CACHE_LIMITS.jsonBytes);
    const { key, version, cacheSize } = readJson(RESERVE_V1, bytes);
    checkGrant(exchange.grant, 'write', entryName({ key, version }));
    const { id } = await service.reserve({ key, version }, cacheSize ?? null);
    return json(201, { cacheId: id });
  };
  const part = async (exchange: Exchange) => {
    const upload = uploadOf(exchange);
    const range = contentRangeOf(exchange.request.headers['content-range'] as string | undefined);
    await upload.putRange(range, await bodyOf(exchange));
    return { status: 204 };
  };
  const commit = async (exchange: Exchange) => {
    const done = service.committed({ id: Number(exchange.params.id) });
    if (done !== null) checkGrant(exchange.grant, 'write', done.name);
    const upload = done === null ? uploadOf(exchange) : null;
    const { size } = readJson(COMMIT_V1, await smallBody(exchange, CACHE_LIMITS.jsonBytes));
    if (done?.lengthBytes === size) return { status: 204 };
    if (upload === null) throw notFound(GONE);
    await service.commit(upload, size, exchange.signal);
    return { status: 204 };
  };
  const root = '/_apis/artifactcache';
  return [
    route(refusalV1, `${root}/cache`, { GET: ['read', lookup] }),
    route(refusalV1, `${root}/caches`, {
      // What a client shows when it looked for an entry in vain, and only while it is debugged.
      GET: ['read', async () => json(200, { totalCount: 0, artifactCaches: [] })],
      POST: ['write', reserve],
    }),
    route(refusalV1, `${root}/caches/{id}`, { PATCH: ['write', part], POST: ['write', commit] }),
  ];
}

function routesV2(door: CacheDoor): Route[] {
  const { service, tickets } = door;
  const create = async (exchange: Exchange) => {
    const entry = readJson(CREATE_V2, await twirpBody(exchange));
    checkGrant(exchange.grant, 'write', entryName(entry));
    const { id } = await service.reserve(entry, null);
    const ticket = tickets.make('upload', String(id), CACHE_LIMITS.linkMs);
    return json(200, { ok: true, signed_upload_url: `${exchange.base}/actions-cache/upload/${ticket}` });
  };
  const finalize = async (exchange: Exchange) => {
    const { size, ...entry } = readJson(FINALIZE_V2, await twirpBody(exchange));
    checkGrant(exchange.grant, 'write', entryName(entry));
    const upload = service.reserved(entry);
    const done = upload === null ? service.committed(entry) : null;
    if (done?.lengthBytes === size) return json(200, { ok: true, entry_id: String(done.id) });
    if (upload === null) throw notFound('nobody has reserved this key and version, or it was given up');
    await service.commit(upload, size, exchange.signal);
    return json(200, { ok: true, entry_id: String(upload.id) });
  };
  const lookup = async (exchange: Exchange) => {
    const { key, version, restoreKeys } = readJson(LOOKUP_V2, await twirpBody(exchange));
    const keys = [key, ...(restoreKeys ?? [])];
    const found = await lookUp(exchange, service, { keys, version, wholeKey: true });
    if (found === null) return json(200, { ok: false, signed_download_url: '', matched_key: '' });
    const link = downloadLink(door, exchange, found.row.name);
    return json(200, { ok: true, signed_download_url: link, matched_key: found.key });
  };
  const root = '/twirp/github.actions.results.api.v1.CacheService';
  return [
    route(refusalTwirp, `${root}/CreateCacheEntry`, { POST: ['write', create] }),
    route(refusalTwirp, `${root}/FinalizeCacheEntryUpload`, { POST: ['write', finalize] }),
    route(refusalTwirp, `${root}/GetCacheEntryDownloadURL`, { POST: ['read', lookup] }),
  ];
}

/** Twirp has a form of bytes, too, which clients in other languages may choose. @throws Problem 415, 413 */
function twirpBody(exchange: Exchange): Promise<Buffer> {
  const type = exchange.request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(?:;|$)/i.test(type))
    throw new Problem(415, 'ENCODING', 'of Twirp only application/json is understood');
  return smallBody(exchange, CACHE_LIMITS.jsonBytes);
}

function linkRoutes({ service, tickets, bytes }: CacheDoor): Route[] {
  const subjectOf = (purpose: string, { params }: Exchange): string => {
    const subject = tickets.read(purpose, params.ticket!);
    // As the service that clients know has it.
    if (subject === null)
      throw new Problem(403, 'AUTHENTICATION_FAILED', 'the time of this link is over, or it is none of ours: ask anew');
    return subject;
  };
  const created: Answer = { status: 201, headers: { 'x-ms-request-server-encrypted': 'false' } };
  const upload = async (exchange: Exchange) => {
    const to = service.upload(Number(subjectOf('upload', exchange)));
    if (to === null) throw notFound(GONE);
    const { comp } = exchange.query;
    if (comp === 'block') await to.putBlock(blockIdOf(exchange.query.blockid), await bodyOf(exchange));
    else if (comp === 'blocklist')
      to.order(blockListOf((await smallBody(exchange, CACHE_LIMITS.blockListBytes)).toString('utf8')));
    else if (comp === undefined) await to.putWhole(await bodyOf(exchange));
    else throw new Problem(400, 'BAD_ARGUMENT', 'comp is block, blocklist, or is not there');
    return created;
  };
  const download = async (exchange: Exchange) => {
    const name = subjectOf('download', exchange);
    // Azure's client asks for ranges so.
    const { headers } = exchange.request;
    const range = headers['x-ms-range'];
    if (headers.range === undefined && typeof range === 'string') headers.range = range;
    return bytes(exchange, name);
  };
  return [
    route(refusalBlob, '/actions-cache/upload/{ticket}', { PUT: [null, upload] }),
    route(refusalBlob, '/actions-cache/download/{ticket}', { GET: [null, download] }),
  ];
}
