/**
 * Rows of a listing as JSON text, put together by hand: a thousand objects that are made to be written at once cost
 * more than to find their rows. What comes out is what `JSON.stringify` makes of `artifactJson`. Pure.
 */
import type { ArtifactRow } from '../catalogue/port.js';
import { shortName } from '../names.js';
import { linksOf } from './artifact-json.js';
import { encodePath, isPlainPath } from './target.js';

/** Beyond, years have other than four digits. */
const LAST_MS = Date.UTC(9999, 11, 31);
const THREE = Array.from({ length: 1000 }, (_, number) => `${String(number).padStart(3, '0')}Z`);

/** Seconds that were told last: those of a row's begin and end take turns. */
const SECONDS_MAX = 1024;
const seconds = new Map<number, string>();

function secondText(second: number): string {
  let text = seconds.get(second);
  if (text !== undefined) return text;
  text = new Date(second * 1000).toISOString().slice(0, 20);
  if (seconds.size >= SECONDS_MAX) seconds.clear();
  seconds.set(second, text);
  return text;
}

/** As `Date.toISOString`; most rows of a listing are of the same seconds. */
export function isoText(ms: number): string {
  if (!(ms >= 0 && ms < LAST_MS) || !Number.isInteger(ms)) return new Date(ms).toISOString();
  const second = Math.floor(ms / 1000);
  return secondText(second) + THREE[ms - second * 1000]!;
}

/** A time beyond those of a Date is never, as none is: null. */
export function timeOrNever(ms: number | null): string | null {
  const date = new Date(ms ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** What one row is in the listings of one client. */
export function rowTexts(base: string, passkey: string | null): (row: ArtifactRow) => string {
  const begin = JSON.stringify(`${base}/`).slice(0, -1);
  return (row) => {
    const { name, sha256, lengthBytes, infoHash, contentType, createdMs, expiresMs, isPinned } = row;
    const isPlain = isPlainPath(name);
    const short = shortName(name);
    const type = contentType === null ? 'null' : JSON.stringify(contentType);
    const facts =
      `{"name":${isPlain ? `"${short}"` : JSON.stringify(short)},"sha256":"${sha256}","lengthBytes":${lengthBytes},` +
      `"contentType":${type},"created":"${isoText(createdMs)}",` +
      `"expires":${expiresMs === null ? 'null' : `"${isoText(expiresMs)}"`},"isPinned":${isPinned},`;
    if (infoHash === null) {
      const path = isPlain ? name : encodePath(name);
      return `${facts}"infoHash":null,"url":${begin}${path}","torrentUrl":null,"magnet":null}`;
    }
    return `${facts}"infoHash":"${infoHash}",${JSON.stringify(linksOf(row, base, passkey)).slice(1)}`;
  };
}
