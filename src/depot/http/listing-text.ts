/**
 * Rows of a listing as JSON text, put together by hand: a thousand objects that are made to be written at once cost
 * more than to find their rows. What comes out is what `JSON.stringify` makes of `artifactJson`. Pure.
 */
import type { ArtifactRow } from '../catalogue/port.js';
import { shortName } from '../names.js';
import { linksOf } from './artifact-json.js';
import { encodePath, isPlainPath } from './target.js';

const DAY_MS = 86_400_000;
/** Beyond, years have other than four digits. */
const LAST_MS = Date.UTC(9999, 11, 31);
const TWO = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, '0'));

/** Days that were told last: those of a row's begin and end take turns. */
const DAYS_MAX = 1024;
const days = new Map<number, string>();
const THREE = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, '0'));

function dayText(day: number): string {
  let text = days.get(day);
  if (text !== undefined) return text;
  text = new Date(day * DAY_MS).toISOString().slice(0, 11);
  if (days.size >= DAYS_MAX) days.clear();
  days.set(day, text);
  return text;
}

/** As `Date.toISOString`; most rows of a listing are of the same days. */
export function isoText(ms: number): string {
  if (!(ms >= 0 && ms < LAST_MS) || !Number.isInteger(ms)) return new Date(ms).toISOString();
  const day = Math.floor(ms / DAY_MS);
  const rest = ms - day * DAY_MS;
  const seconds = Math.floor(rest / 1000);
  const minutes = Math.floor(seconds / 60);
  const hour = TWO[Math.floor(minutes / 60)]!;
  return `${dayText(day)}${hour}:${TWO[minutes % 60]!}:${TWO[seconds % 60]!}.${THREE[rest % 1000]!}Z`;
}

/** A time beyond those of a Date is never, as none is: null. */
export function timeOrNever(ms: number | null): string | null {
  const date = new Date(ms ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function quoted(text: string): string {
  return isPlainPath(text) ? `"${text}"` : JSON.stringify(text);
}

/** What one row is in the listings of one client. */
export function rowTexts(base: string, passkey: string | null): (row: ArtifactRow) => string {
  const begin = JSON.stringify(`${base}/`).slice(0, -1);
  return (row) => {
    const { name, sha256, lengthBytes, infoHash, contentType, createdMs, expiresMs, isPinned } = row;
    const facts =
      `{"name":${quoted(shortName(name))},"sha256":"${sha256}","lengthBytes":${lengthBytes},` +
      `"contentType":${JSON.stringify(contentType)},"created":"${isoText(createdMs)}",` +
      `"expires":${expiresMs === null ? 'null' : `"${isoText(expiresMs)}"`},"isPinned":${isPinned},`;
    if (infoHash === null) {
      return `${facts}"infoHash":null,"url":${begin}${encodePath(name)}","torrentUrl":null,"magnet":null}`;
    }
    return `${facts}"infoHash":"${infoHash}",${JSON.stringify(linksOf(row, base, passkey)).slice(1)}`;
  };
}
