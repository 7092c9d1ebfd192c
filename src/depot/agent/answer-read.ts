/** The bytes of an answer, with their receipt; and what goes wrong on the way as a problem. */
import { HaulError } from '../../errors.js';
import { Problem } from '../http/problems.js';
import type { ByteRange } from '../store/port.js';
import { DepotAway, DepotBroke, DepotDamaged, DepotFailed, DepotLies } from './depot-trouble.js';
import type { Directory, Resolved } from './directory.js';
import type { FetchedBytes } from './fetch.js';
import type { Fetches } from './fetches.js';
import type { Receipts } from './receipts.js';

export interface AnswerReadParts {
  readonly fetches: Fetches;
  readonly receipts: Receipts;
  readonly directory: Pick<Directory, 'changed'>;
  readonly wallClockMs: () => number;
  readonly now: () => number;
  readonly onSent: (bytes: number, from: FetchedBytes) => void;
}

export interface AnswerReadRequest {
  readonly id: string;
  readonly resolved: Resolved;
  readonly range: ByteRange;
  readonly signal: AbortSignal;
}

const NONE: FetchedBytes = { peers: 0, webSeed: 0 };

/** @throws Problem, HaulError */
export async function* answerRead(parts: AnswerReadParts, request: AnswerReadRequest): AsyncGenerator<Uint8Array> {
  const { fetches, receipts, wallClockMs, now, onSent } = parts;
  const { id, resolved, range, signal } = request;
  const { name, sha256, lengthBytes } = resolved.row;
  const [startedMs, beganMs] = [wallClockMs(), now()];
  let firstByteSeconds: number | null = null;
  let sentBytes = 0;
  let outcome: 'done' | 'gone' | 'failed' = 'gone';
  let bytesNow = (): FetchedBytes | null => null;
  receipts.begin(id);
  try {
    const reading = await fetches.read(resolved, range, signal);
    bytesNow = reading.bytes;
    for await (const slice of reading.slices) {
      firstByteSeconds ??= (now() - beganMs) / 1000;
      sentBytes += slice.length;
      yield slice;
    }
    if (sentBytes === range.end - range.begin) outcome = 'done';
  } catch (error) {
    outcome = 'failed';
    // It has other bytes by now, or is gone: who asks next is told so by the depot.
    if (error instanceof HaulError && error.code === 'NOT_FOUND') parts.directory.changed(name);
    throw asProblem(error);
  } finally {
    const { peers: peerBytes, webSeed: webSeedBytes } = bytesNow() ?? NONE;
    onSent(sentBytes, { peers: peerBytes, webSeed: webSeedBytes });
    receipts.add({
      id,
      name,
      sha256,
      lengthBytes,
      startedMs,
      firstByteSeconds,
      seconds: (now() - beganMs) / 1000,
      sentBytes,
      peerBytes,
      webSeedBytes,
      localBytes: Math.max(0, sentBytes - peerBytes - webSeedBytes),
      outcome,
      isStale: resolved.staleSeconds !== null,
    });
  }
}

const RETRY = { 'retry-after': '5' };

/** What the depot does wrong is not the agent's fault, nor the client's. */
export function asProblem(error: unknown): unknown {
  if (error instanceof DepotDamaged) return new Problem(502, 'BAD_DATA', `${error.message}, and this is not cached`);
  if (error instanceof DepotFailed) {
    const retry = error.retrySeconds === null ? RETRY : { 'retry-after': String(error.retrySeconds) };
    if (error.status === 503) return new Problem(503, 'BUSY', `${error.message}, and this is not cached`, retry);
    return new Problem(502, 'DEPOT_FAILED', `${error.message}, and this is not cached`, retry);
  }
  if (error instanceof DepotBroke)
    return new Problem(503, 'DEPOT_AWAY', `the depot went away in the middle of it (${error.message}); send it again`, {
      'retry-after': '1',
    });
  if (error instanceof DepotAway)
    return new Problem(
      504,
      'DEPOT_AWAY',
      `the depot cannot be asked (${error.message}), and this is not cached`,
      RETRY,
    );
  if (error instanceof DepotLies)
    return new Problem(502, 'BAD_DEPOT', `the depot cannot be believed: ${error.message}`, RETRY);
  if (error instanceof HaulError && error.code === 'BAD_DATA')
    return new Problem(502, 'BAD_DEPOT', 'the bytes that came are not those of the artifact', RETRY);
  return error;
}

/** @throws Problem */
export async function resolveOrFail(
  directory: Directory,
  name: string,
  wants: 'row' | 'bytes' = 'row',
): Promise<Resolved> {
  const resolved = await directory.resolve(name, wants).catch((error: unknown) => {
    throw asProblem(error);
  });
  if (resolved === null) throw new Problem(404, 'NOT_FOUND', 'there is no such artifact');
  return resolved;
}
