/**
 * A row as values that were checked, and as the texts in which it is kept: a short one in the catalogue, one with the
 * names of its fields beside the blob. What was read is believed only when every field is what it must be.
 */
import { HaulError } from '../../errors.js';
import { showName } from '../../metainfo/paths.js';
import type { ArtifactRow, NoteMark, PutOutcome, PutRules, RowFacts } from './port.js';

/** Bytes of a full name in UTF-8: what `depot/names.ts` lets through, and its space. */
export const ROW_NAME_BYTES_MAX = 1100;
const CONTENT_TYPE_MAX = 1024;
const REPLICAS_MAX = 1_000_000;

/** Text of whole characters: what UTF-8 can keep. A name with half of a surrogate pair is nobody's. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** By character code below 256: 0 for a lower-case hexadecimal digit. */
const NO_DIGIT = Uint8Array.from({ length: 256 }, (_, code) => Number(!/[0-9a-f]/.test(String.fromCharCode(code))));

/** Lower-case hexadecimal digits, without a branch for each: a RegExp takes many times that, and listings are long. */
function isHex(value: unknown, digits: number): boolean {
  if (typeof value !== 'string' || value.length !== digits) return false;
  let bad = 0;
  for (let at = 0; at < digits; at++) {
    const code = value.charCodeAt(at);
    bad |= NO_DIGIT[code & 0xff]! | (code >> 8);
  }
  return bad === 0;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Why this is no row, or null. Values may be anything. */
export function whyBadRow(row: { readonly [Field in keyof ArtifactRow]: unknown }): string | null {
  const { name } = row;
  if (typeof name !== 'string' || name === '' || !isWellFormed(name)) return 'its name is no text';
  if (Buffer.byteLength(name) > ROW_NAME_BYTES_MAX) return `its name is longer than ${ROW_NAME_BYTES_MAX} bytes`;
  return whyBadFields(row);
}

/** The same without the name, for one that is known to be good: lists decode a thousand rows at a time. */
function whyBadFields(row: { readonly [Field in keyof ArtifactRow]: unknown }): string | null {
  const { sha256, infoHash, contentType, replicas } = row;
  if (!isHex(sha256, 64)) return 'its digest is not 64 hexadecimal digits';
  if (!isCount(row.lengthBytes)) return 'its length is no number of bytes';
  if (infoHash !== null && !isHex(infoHash, 40)) return 'its info-hash is not 40 hexadecimal digits';
  if (contentType !== null && (typeof contentType !== 'string' || contentType.length > CONTENT_TYPE_MAX)) {
    return 'its content type is no text';
  }
  if (!isCount(row.createdMs) || !isCount(row.usedMs)) return 'one of its times is none';
  if (row.expiresMs !== null && !isCount(row.expiresMs)) return 'the time when it goes is none';
  if (typeof row.isPinned !== 'boolean') return 'it is neither pinned nor not';
  if (replicas !== null && (!isCount(replicas) || replicas > REPLICAS_MAX)) return 'its number of replicas is none';
  return null;
}

/** @throws HaulError BAD_ARGUMENT */
export function checkRow(row: ArtifactRow): void {
  const why = whyBadRow(row);
  if (why !== null) throw new HaulError('BAD_ARGUMENT', `the row ${showName(String(row.name))}: ${why}`);
}

function damaged(name: string, why: string): HaulError {
  const message = `the row ${showName(name)} of the catalogue is damaged: ${why}; see: haul depot rebuild`;
  return new HaulError('BAD_DATA', message, { name });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The row without its name, which is the key. */
export function encodeRow(row: ArtifactRow): string {
  const { sha256, lengthBytes, infoHash, contentType, createdMs, expiresMs, usedMs, isPinned, replicas } = row;
  return JSON.stringify([
    sha256,
    lengthBytes,
    infoHash,
    contentType,
    createdMs,
    expiresMs,
    usedMs,
    isPinned ? 1 : 0,
    replicas,
  ]);
}

const FIELDS = 9;

/** @throws HaulError BAD_DATA that names the row */
export function decodeRow(name: string, text: string): ArtifactRow {
  const fields = parse(text);
  if (!Array.isArray(fields) || fields.length !== FIELDS) throw damaged(name, 'it is no row');
  const pin: unknown = fields[7];
  const row = {
    name,
    sha256: fields[0] as unknown,
    lengthBytes: fields[1] as unknown,
    infoHash: fields[2] as unknown,
    contentType: fields[3] as unknown,
    createdMs: fields[4] as unknown,
    expiresMs: fields[5] as unknown,
    usedMs: fields[6] as unknown,
    isPinned: pin === 1 ? true : pin === 0 ? false : null,
    replicas: fields[8] as unknown,
  };
  // The key was decoded from UTF-8.
  const why = whyBadFields(row);
  if (why !== null) throw damaged(name, why);
  return row as ArtifactRow;
}

/** The text beside the blob. */
export function rowToJson(row: ArtifactRow): string {
  const { name, sha256, lengthBytes, infoHash, contentType, createdMs, expiresMs, usedMs, isPinned, replicas } = row;
  return JSON.stringify({
    name,
    sha256,
    lengthBytes,
    infoHash,
    contentType,
    createdMs,
    expiresMs,
    usedMs,
    isPinned,
    replicas,
  });
}

/** What `rowToJson` made, or why it cannot be believed. */
export function rowFromJson(text: string): ArtifactRow | string {
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it is no row';
  const row = value as { readonly [Field in keyof ArtifactRow]: unknown };
  const why = whyBadRow(row);
  if (why !== null) return why;
  const { name, sha256, lengthBytes, infoHash, contentType } = row as ArtifactRow;
  const { createdMs, expiresMs, usedMs, isPinned, replicas } = row as ArtifactRow;
  return { name, sha256, lengthBytes, infoHash, contentType, createdMs, expiresMs, usedMs, isPinned, replicas };
}

/** Whether the row is as a caller that read it before thinks it is. */
export function holdsFor(row: ArtifactRow, facts: RowFacts | undefined): boolean {
  if (facts === undefined) return true;
  return (Object.keys(facts) as (keyof RowFacts)[]).every(
    (field) => facts[field] === undefined || facts[field] === row[field],
  );
}

/** The row that `put` stores where it may: what stays of the one that has the name. */
export function rowOver(old: ArtifactRow, row: ArtifactRow, { onlyAdds = false }: PutRules): ArtifactRow {
  const isPinned = old.isPinned || row.isPinned;
  if (!onlyAdds || old.sha256 !== row.sha256) return isPinned === row.isPinned ? row : { ...row, isPinned };
  const isSooner = row.expiresMs !== null && (old.expiresMs === null || old.expiresMs > row.expiresMs);
  const expiresMs = isSooner ? old.expiresMs : row.expiresMs;
  const replicas = old.replicas === null ? row.replicas : Math.max(old.replicas, row.replicas ?? 0);
  return { ...row, isPinned, expiresMs, replicas, contentType: old.contentType ?? row.contentType };
}

/** Whether what is noted beside the blob is what is stored: a pin of the row before may have come along. */
export function isNotedAs(row: ArtifactRow, stored: ArtifactRow, { isNoted = true }: PutRules): boolean {
  return isNoted && stored === row;
}

/** What a change of a row leaves to be noted. @param mark undefined: nobody notes anything */
export function marksOf(
  old: ArtifactRow | null,
  next: ArtifactRow | null,
  mark: string | undefined,
  isNoted = true,
): readonly NoteMark[] {
  if (mark === undefined) return [];
  const marks: NoteMark[] = [];
  if (old !== null && old.sha256 !== next?.sha256) marks.push({ mark, sha256: old.sha256, name: old.name });
  if (next !== null && !isNoted) marks.push({ mark, sha256: next.sha256, name: next.name });
  return marks;
}

/** What `put` does, as the port says it, and the row that is stored then: null for a conflict. */
export function decidePut(
  old: ArtifactRow | null,
  row: ArtifactRow,
  rules: PutRules,
): { readonly outcome: PutOutcome; readonly stored: ArtifactRow | null } {
  if (old === null) return { outcome: { kind: 'created' }, stored: row };
  const isSame = old.sha256 === row.sha256;
  if (rules.onlyIfNew || !(isSame || rules.overwrite)) return { outcome: { kind: 'conflict', row: old }, stored: null };
  const stored = rowOver(old, row, rules);
  return { outcome: isSame ? { kind: 'unchanged', row: stored } : { kind: 'replaced', row: old }, stored };
}
