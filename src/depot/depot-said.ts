/**
 * What a depot says of artifacts, read by those who ask it: nothing of it is believed unchecked. Pure. Null: it is not
 * what a depot says.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import { isTrackerUrl } from '../metainfo/urls.js';
import type { ArtifactRow } from './catalogue/port.js';
import { keptMediaType } from './http/media-type.js';
import { ARRIVAL, LISTED } from './http/schemas.js';
import { fullName, shortName, spaceOf } from './names.js';

/**
 * Asked for, a GET of an artifact tells what `?info` tells in a header of this name beside the bytes: base64 of the
 * same JSON. A depot that does so has it in the answer to /healthz.
 */
export const INFO_HEADER = 'x-swarmhaul-info';

export type SaidArtifact = z.infer<typeof LISTED>;

/** Years that dates of this language and of HTTP have in common. */
const YEAR_MAX_MS = Date.UTC(9999, 11, 31);

export function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as unknown;
  } catch {
    return null;
  }
}

/** One of a listing, or of `?info`: its name is one that an artifact can have. */
export function saidArtifact(value: unknown): SaidArtifact | null {
  const parsed = LISTED.safeParse(value);
  if (!parsed.success || !isTime(parsed.data.created)) return null;
  const at = parsed.data.next?.at ?? null;
  for (const time of [parsed.data.expires, at]) if (time !== null && !isTime(time)) return null;
  try {
    fullName('artifacts', parsed.data.name);
  } catch {
    return null;
  }
  return parsed.data;
}

/** A page of a listing; its items are to be checked one by one. */
export function saidPage(
  value: unknown,
): { readonly items: readonly unknown[]; readonly cursor: string | null } | null {
  if (typeof value !== 'object' || value === null) return null;
  const { items, cursor } = value as { items?: unknown; cursor?: unknown };
  const isCursor = cursor === null || (typeof cursor === 'string' && cursor !== '' && cursor.length <= 2048);
  return Array.isArray(items) && isCursor ? { items, cursor } : null;
}

/** The answer to `?info`. @param name full, as it was asked for */
export function rowOfInfo(name: string, body: Uint8Array): ArtifactRow | null {
  const said = saidArtifact(jsonOf(body));
  if (said === null || said.name !== shortName(name)) return null;
  const { sha256, lengthBytes, infoHash, contentType, created, expires, isPinned } = said;
  const times = { createdMs: Date.parse(created), expiresMs: expires === null ? null : Date.parse(expires) };
  const type = keptMediaType(contentType ?? undefined);
  return { name, sha256, lengthBytes, infoHash, contentType: type, ...times, usedMs: 0, isPinned, replicas: null };
}

/**
 * Whoever is about to ask calls this while nobody waits: to compile a schema takes a millisecond. Returns whether what
 * it was tried with was understood.
 */
export function prepareToRead(): boolean {
  const created = '2000-01-01T00:00:00.000Z';
  const said = { name: 'x', sha256: '0'.repeat(64), lengthBytes: 0, contentType: null, created, expires: null };
  const more = { isPinned: false, infoHash: null, url: '', torrentUrl: null, magnet: null };
  return rowOfInfo('artifacts/x', Buffer.from(JSON.stringify({ ...said, ...more }))) !== null;
}

/** The head of an answer from /cas or /ac. @param name full, as it was asked for */
export function rowOfHead(name: string, headers: IncomingHttpHeaders): ArtifactRow | null {
  const sha256 = textOf(headers['x-checksum-sha256']);
  const length = textOf(headers['content-length']);
  const isForeign = spaceOf(name) === 'cas' && sha256 !== shortName(name);
  if (!/^[0-9a-f]{64}$/.test(sha256) || isForeign || !/^\d{1,15}$/.test(length)) return null;
  const saidMs = Date.parse(textOf(headers['last-modified']));
  const createdMs = saidMs >= 0 && saidMs <= YEAR_MAX_MS ? saidMs : 0;
  const fixed = { infoHash: null, contentType: null, expiresMs: null, usedMs: 0, isPinned: false, replicas: null };
  return { name, sha256, lengthBytes: Number(length), createdMs, ...fixed };
}

function isTime(text: string): boolean {
  const ms = Date.parse(text);
  return ms >= 0 && ms <= YEAR_MAX_MS;
}

function textOf(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value : '';
}

export type SaidArrival = z.infer<typeof ARRIVAL> & { readonly id: string };

/** An artifact on its way from peers; its tracker is one that can be asked. */
export function saidArrival(value: unknown): SaidArrival | null {
  const parsed = ARRIVAL.safeParse(value);
  if (!parsed.success) return null;
  const { url, announceUrl, peerPort, artifact } = parsed.data;
  // Only what stands at its end is used: it is asked where the depot is.
  const id = /\/arrivals\/([0-9a-f]{32})$/.exec(url)?.[1];
  const isPort = peerPort === null || (peerPort > 0 && peerPort <= 65_535);
  if (id === undefined || !isPort || announceUrl.length > 2048 || !isTrackerUrl(announceUrl)) return null;
  if (artifact !== null && saidArtifact(artifact) === null) return null;
  return { ...parsed.data, id };
}
