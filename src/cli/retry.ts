/** Trying again what may work a moment later: the pauses, and what is worth it. Pure. */
import type { HaulError } from '../errors.js';

/**
 * First and longest pause; it doubles in between, and a random quarter comes or goes so that a fleet does not come back
 * in one instant.
 */
const PAUSE_FIRST_MS = 500;
const PAUSE_LAST_MS = 8_000;
/** Servers may ask for hours: a person would not wait for them unseen. */
const RETRY_AFTER_MAX_MS = 30_000;

/**
 * @param failures so far, at least 1
 * @param random a number of [0, 1)
 * @param askedMs what the server asked for (Retry-After), 0 for nothing
 */
export function pauseMs(failures: number, random: number, askedMs = 0): number {
  const step = Math.min(PAUSE_FIRST_MS * 2 ** Math.min(failures - 1, 20), PAUSE_LAST_MS);
  return Math.max(Math.round(step * (0.75 + random / 2)), Math.min(askedMs, RETRY_AFTER_MAX_MS));
}

/** A server that is about to start, overloaded or out of reach for a moment; not one that says no. */
export function isTransient({ code, facts }: HaulError): boolean {
  if (code === 'TIMEOUT') return true;
  if (code === 'NETWORK') return TRANSIENT_ERRNOS.has(String(facts.errno));
  const status = code === 'HTTP' ? Number(facts.statusCode ?? 0) : 0;
  // Not implemented, and an HTTP version it does not speak: these stay.
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** Wrong names, certificates and answers that are no HTTP stay wrong. */
const TRANSIENT_ERRNOS: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EHOSTDOWN',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

/**
 * Milliseconds that a Retry-After header asks for: a number of seconds or a date (RFC 9110, 10.2.3); 0 for nothing or
 * nonsense.
 */
export function retryAfterMs(header: string | undefined, wallClockMs: number): number {
  if (header === undefined) return 0;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const atMs = Date.parse(header);
  return Number.isFinite(atMs) ? Math.max(0, atMs - wallClockMs) : 0;
}
