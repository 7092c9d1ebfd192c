/**
 * What is kept of a folder's torrent: the artifacts it was made of, and the hashes of its pieces. Derived: one that
 * cannot be read is made again when somebody asks for it. Two prefixes may have the same torrent, and a record each.
 *
 *   {"format":1,"prefix":"artifacts/ci/42/","infoHash":…,"key":…,"files":2,"lengthBytes":…,"digest":…}   (one line)
 *   pieces in base64
 *   ["path","sha256",length]                                                                  (a line for each file)
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { infoHashOf } from '../../metainfo/info-hash.js';
import { DEPOT_LIMITS } from '../limits.js';
import { fileNameOf, fullName, shortName } from '../names.js';
import { folderInfo } from './info.js';
import { type FolderEntry, type FolderFile, type FolderLayout, layOutFolder } from './layout.js';

const FORMAT = 1;
/** Longer than the first line of any record: a prefix of 1 KiB, each byte as an escape. */
export const HEAD_BYTES: number = 16 * 1024;

export interface FolderHead {
  /** Full, with a slash at its end. */
  readonly prefix: string;
  /** 40 hexadecimal digits. */
  readonly infoHash: string;
  /** What it was made of: `folderKey`. */
  readonly key: string;
  readonly files: number;
  /** Padding left out. */
  readonly lengthBytes: number;
}

/** A folder's torrent in memory. */
export interface FolderRecord extends FolderHead {
  readonly infoBytes: Buffer;
  readonly layout: FolderLayout;
  /** By path below the prefix, padding left out. */
  readonly members: ReadonlyMap<string, FolderEntry>;
}

const HEX64 = z.string().regex(/^[0-9a-f]{64}$/);
const HEAD = z.object({
  format: z.literal(FORMAT),
  prefix: z.string().startsWith('artifacts/').endsWith('/'),
  infoHash: z.string().regex(/^[0-9a-f]{40}$/),
  key: HEX64,
  files: z.int().min(1).max(DEPOT_LIMITS.folderFiles),
  lengthBytes: z.int().min(1).max(DEPOT_LIMITS.folderBytes),
  digest: HEX64.describe('SHA-256 of all below the line'),
});
const FILE = z.tuple([z.string(), HEX64, z.int().min(0)]);

export function torrentNameOf(prefix: string): string {
  return fileNameOf(prefix.slice(0, -1));
}

/** @throws HaulError LIMIT: the .torrent is too long */
export async function recordOf(prefix: string, layout: FolderLayout, pieces: Buffer): Promise<FolderRecord> {
  const infoBytes = await folderInfo(layout, pieces);
  const members = new Map<string, FolderEntry>();
  let lengthBytes = 0;
  for (const entry of layout.entries) {
    if (entry.sha256 === null) continue;
    members.set(entry.path, entry);
    lengthBytes += entry.lengthBytes;
  }
  const infoHash = infoHashOf(infoBytes).toString('hex');
  const key = folderKey(prefix, members.values());
  return { prefix, infoHash, key, files: members.size, lengthBytes, infoBytes, layout, members };
}

export function encodeFolder(record: FolderRecord, pieces: Buffer): string {
  const { prefix, infoHash, key, files, lengthBytes, members } = record;
  const lines = [...members.values()].map((file) => JSON.stringify([file.path, file.sha256, file.lengthBytes]));
  const body = [pieces.toString('base64'), ...lines].join('\n');
  const head = { format: FORMAT, prefix, infoHash, key, files, lengthBytes, digest: digestOf(body) };
  return `${JSON.stringify(head)}\n${body}`;
}

/** Null: it is none. @param text the begin of a record will do */
export function parseHead(text: string): (FolderHead & { readonly digest: string }) | null {
  const end = text.indexOf('\n');
  if (end < 0) return null;
  const parsed = HEAD.safeParse(jsonOf(text.slice(0, end)));
  return parsed.success ? parsed.data : null;
}

/** Null: it is damaged, or of another version. */
export async function parseFolder(text: string): Promise<FolderRecord | null> {
  const head = parseHead(text);
  if (head === null) return null;
  const body = text.slice(text.indexOf('\n') + 1);
  if (digestOf(body) !== head.digest) return null;
  const [pieces, ...lines] = body.split('\n');
  const files: FolderFile[] = [];
  for (const line of lines) {
    const parsed = FILE.safeParse(jsonOf(line));
    if (!parsed.success) return null;
    const [path, sha256, lengthBytes] = parsed.data;
    files.push({ path, sha256, lengthBytes });
  }
  try {
    for (const { path } of files) fullName('artifacts', shortName(`${head.prefix}${path}`));
    const layout = layOutFolder(torrentNameOf(head.prefix), files);
    const record = await recordOf(head.prefix, layout, Buffer.from(pieces!, 'base64'));
    return record.infoHash === head.infoHash && record.key === head.key ? record : null;
  } catch {
    return null;
  }
}

/** The same for the same artifacts under the same prefix. @param files in the order of the bytes of their paths */
export function folderKey(prefix: string, files: Iterable<FolderKeyed>): string {
  const hash = createHash('sha256').update(`${prefix}\0`);
  for (const { path, sha256, lengthBytes } of files) hash.update(`${path}\0${sha256}\0${lengthBytes}\0`);
  return hash.digest('hex');
}

type FolderKeyed = Pick<FolderEntry, 'path' | 'sha256' | 'lengthBytes'>;

/** Of the file that keeps a record. */
export function recordId({ infoHash, prefix }: Pick<FolderHead, 'infoHash' | 'prefix'>): string {
  return `${infoHash}-${createHash('sha256').update(prefix).digest('hex').slice(0, 16)}`;
}

function digestOf(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
