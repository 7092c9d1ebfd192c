/** What clients of the Actions cache send, read strictly: headers, JSON, lists of blocks. Pure. */
import { z } from 'zod';
import { Problem } from '../http/problems.js';
import type { ByteRange } from '../store/port.js';

const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(?:\*|(\d{1,15}))$/;

/** Of a part that is uploaded: "bytes 0-199/*". @throws Problem 400 */
export function contentRangeOf(value: string | undefined): ByteRange {
  const [, first, last, whole] = CONTENT_RANGE.exec(value?.trim() ?? '') ?? [];
  const [begin, end] = [Number(first), Number(last) + 1];
  const isRange = first !== undefined && begin < end && (whole === undefined || end <= Number(whole));
  if (!isRange) throw new Problem(400, 'BAD_ARGUMENT', 'Content-Range is not understood: it is "bytes FIRST-LAST/*"');
  return { begin, end };
}

const text = z.string().min(1).max(512);
/** JSON of 64-bit numbers is text; some clients send a number. */
const size = z
  .union([z.int().min(0), z.string().regex(/^\d{1,15}$/)])
  .transform(Number)
  .pipe(z.int().min(0));

export const RESERVE_V1 = z.object({ key: text, version: text, cacheSize: z.int().min(0).nullish() });
export const COMMIT_V1 = z.object({ size });

/** The JSON of protocol buffers has names either way. */
function eitherName(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const { sizeBytes, restoreKeys, size_bytes, restore_keys, ...rest } = value as Record<string, unknown>;
  const size = size_bytes ?? sizeBytes;
  const keys = restore_keys ?? restoreKeys;
  return { ...rest, ...(size === undefined ? {} : { size }), ...(keys === undefined ? {} : { restoreKeys: keys }) };
}

export const CREATE_V2 = z.object({ key: text, version: text });
export const FINALIZE_V2 = z.preprocess(eitherName, z.object({ key: text, version: text, size }));
/** As many as the client itself takes. */
export const LOOKUP_V2 = z.preprocess(
  eitherName,
  z.object({ key: text, version: text, restoreKeys: z.array(text).max(10).nullish() }),
);

/** @throws Problem 400 */
export function readJson<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new Problem(400, 'BAD_ARGUMENT', 'the body is no JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Problem(400, 'BAD_ARGUMENT', `the body: ${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is wrong'}`);
}

const BLOCK_ID = /^[A-Za-z0-9+/]{1,88}={0,2}$/;
/** As the service that it is made after has it. */
export const BLOCKS_MAX = 50_000;

/** @throws Problem 400 */
export function blockIdOf(value: unknown): string {
  if (typeof value === 'string' && BLOCK_ID.test(value)) return value;
  throw new Problem(400, 'BAD_ARGUMENT', 'blockid is base64 of up to 64 bytes');
}

const [OPENS, ENDS] = ['<BlockList>', '</BlockList>'];
const ITEM = /<(Latest|Uncommitted|Committed)>([^<>]{1,90})<\/\1>/y;

/** What the list holds, or null: it is none. Without a search that goes back: the text is a stranger's. */
function insideOf(xml: string): string | null {
  let text = xml.replace(/^\uFEFF/, '').trim();
  if (text.startsWith('<?xml')) text = text.slice(text.indexOf('>') + 1).trimStart();
  const isList = text.startsWith(OPENS!) && text.endsWith(ENDS!) && text.length >= OPENS!.length + ENDS!.length;
  return isList ? text.slice(OPENS!.length, -ENDS!.length) : null;
}

/**
 * The ids of a block list, in order: that much of XML, and nothing else of it, so that there is nothing to expand.
 * @throws Problem 400
 */
export function blockListOf(xml: string): readonly string[] {
  const inner = insideOf(xml);
  if (inner === null) throw new Problem(400, 'BAD_ARGUMENT', 'the body is no block list');
  const ids: string[] = [];
  for (let at = behindSpace(inner, 0); at < inner.length; at = behindSpace(inner, ITEM.lastIndex)) {
    ITEM.lastIndex = at;
    const found = ITEM.exec(inner);
    if (found === null) throw new Problem(400, 'BAD_ARGUMENT', 'the block list holds what is no block');
    if (ids.length >= BLOCKS_MAX) throw new Problem(400, 'LIMIT', `a list has at most ${BLOCKS_MAX} blocks`);
    ids.push(blockIdOf(found[2]!.trim()));
  }
  return ids;
}

function behindSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text[at]!)) at++;
  return at;
}
