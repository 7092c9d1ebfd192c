/**
 * Rows as PostgreSQL gives and takes them: texts come, arrays of columns go. Whoever has the database can have written
 * anything there, so what comes is believed only when every field is what it must be. Pure.
 */
import { isUtf8 } from 'node:buffer';
import { HaulError } from '../../../errors.js';
import { showName } from '../../../metainfo/paths.js';
import type { ArtifactRow } from '../port.js';
import { whyBadRow } from '../row.js';
import type { Row } from './connections.js';

/** In the order of `rowOfText`. */
export const COLUMNS =
  'name, sha256, length_bytes, info_hash, content_type, created_ms, expires_ms, used_ms, is_pinned, replicas';

/** Their types, for `unnest`. */
export const COLUMN_TYPES = [
  'bytea[]',
  'bytea[]',
  'bigint[]',
  'bytea[]',
  'bytea[]',
  'bigint[]',
  'bigint[]',
  'bigint[]',
  'boolean[]',
  'bigint[]',
] as const;

/** `\x6162`, as the server writes bytes. */
function hexOf(text: string | null | undefined): string | null {
  return text == null ? null : text.startsWith('\\x') ? text.slice(2) : text;
}

export function bytesOf(text: string | null | undefined): Buffer {
  return Buffer.from(hexOf(text) ?? '', 'hex');
}

/** What is no number of ours is NaN, which no check lets through. */
export function numberOf(text: string | null | undefined): number {
  return text != null && /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
}

/** @throws HaulError BAD_DATA that names the row */
export function rowOfText(columns: Row): ArtifactRow {
  const [name, sha256, lengthBytes, infoHash, contentType, createdMs, expiresMs, usedMs, isPinned, replicas] = columns;
  const bytes = bytesOf(name);
  const row = {
    name: bytes.toString('utf8'),
    sha256: hexOf(sha256),
    lengthBytes: numberOf(lengthBytes),
    infoHash: hexOf(infoHash),
    contentType: contentType == null ? null : bytesOf(contentType).toString('utf8'),
    createdMs: numberOf(createdMs),
    expiresMs: expiresMs == null ? null : numberOf(expiresMs),
    usedMs: numberOf(usedMs),
    isPinned: isPinned === 't' ? true : isPinned === 'f' ? false : null,
    replicas: replicas == null ? null : numberOf(replicas),
  };
  const why = isUtf8(bytes) ? whyBadRow(row) : 'its name is no text';
  if (why === null) return row as ArtifactRow;
  const message = `the row ${showName(row.name)} of the catalogue is damaged: ${why}; see: haul depot rebuild`;
  throw new HaulError('BAD_DATA', message, { name: row.name });
}

/** One array for each of `COLUMNS`. */
export function columnsOf(rows: readonly ArtifactRow[]): unknown[] {
  const hex = (text: string): Buffer => Buffer.from(text, 'hex');
  return [
    rows.map(({ name }) => Buffer.from(name)),
    rows.map(({ sha256 }) => hex(sha256)),
    rows.map(({ lengthBytes }) => lengthBytes),
    rows.map(({ infoHash }) => infoHash && hex(infoHash)),
    rows.map(({ contentType }) => (contentType === null ? null : Buffer.from(contentType))),
    rows.map(({ createdMs }) => createdMs),
    rows.map(({ expiresMs }) => expiresMs),
    rows.map(({ usedMs }) => usedMs),
    rows.map(({ isPinned }) => isPinned),
    rows.map(({ replicas }) => replicas),
  ];
}
