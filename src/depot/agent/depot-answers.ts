/** Answers of a depot as they are read: whole where they are small, or why there is none. */
import { boundedBody } from '../../net/bounded-body.js';
import { headerText } from '../../net/redirects.js';
import { Problem, readProblem } from '../http/problems.js';
import { CHALLENGE } from '../http/tokens.js';
import type { AnswerBody, Opened } from './depot-port.js';
import { DepotAway, DepotLies, reasonOf } from './depot-trouble.js';
import { AGENT_LIMITS } from './limits.js';
import { plain } from './plain-text.js';

/** Exactly so many bytes, as they are. */
export function isAllOf({ status, headers }: Opened, bytes: number, wanted: number): boolean {
  const coding = headerText(headers['content-encoding']);
  const isPlain = coding === null || coding === 'identity';
  return status === wanted && headerText(headers['content-length']) === `${bytes}` && isPlain;
}

/** @throws Problem, DepotLies */
export async function checkSuccess(answer: Opened): Promise<void> {
  if (answer.status === 200) return;
  if (answer.status >= 400) throw await refusal(answer);
  drop(answer.body);
  throw new DepotLies(`it answered ${answer.status}, which leads elsewhere; name the depot itself`);
}

/** Of a problem, as far as it could be read. */
export function problemText(body: AnswerBody): Promise<Buffer> {
  const { problemBytes, problemMs } = AGENT_LIMITS;
  return readAnswer(body, problemBytes, problemMs).catch(() => Buffer.alloc(0));
}

/**
 * What the depot says no with, passed on.
 * @param isClients it was asked with the token of the client, if any
 */
export async function refusal({ status, headers, body }: Opened, isClients = false): Promise<Problem> {
  const { detail, code } = readProblem(await problemText(body));
  const said = detail === null ? `it answered ${status}` : plain(detail);
  const known = code ?? 'REFUSED';
  // Clients send a token, or another one, when they are asked for it.
  if (isClients && status === 401) return new Problem(401, known, `the depot says: ${said}`, CHALLENGE);
  // Whose token it is that does not do is ours to know, not the client's.
  if (!isClients && (status === 401 || status === 403))
    return new Problem(403, known, `the depot refuses this agent: ${said}`);
  const retryAfter = headerText(headers['retry-after']);
  const retry: Record<string, string> =
    retryAfter !== null && /^\d{1,9}$/.test(retryAfter) ? { 'retry-after': retryAfter } : {};
  return new Problem(status, known, `the depot says: ${said}`, retry);
}

/** Reads the rest of a short answer, so that its connection can be used again; ends that of a long one. */
export function drop(body: AnswerBody): void {
  const signal = AbortSignal.timeout(AGENT_LIMITS.problemMs);
  body.dump({ limit: AGENT_LIMITS.problemBytes, signal }).catch(() => {});
}

export function gone({ body }: { readonly body: AnswerBody }): null {
  drop(body);
  return null;
}

/** All of a small answer, however slowly its parts come. @throws DepotAway, DepotLies */
export async function readAnswer(body: AnswerBody, bytesMax: number, timeoutMs: number): Promise<Buffer> {
  let isLate = false;
  const timer = setTimeout(
    () => {
      isLate = true;
      body.destroy();
    },
    Math.max(0, timeoutMs),
  );
  try {
    return await boundedBody(body, bytesMax, () => new DepotLies(`its answer has more than ${bytesMax} bytes`));
  } catch (error) {
    if (error instanceof DepotLies) throw error;
    throw new DepotAway(isLate ? 'its answer came too slowly' : reasonOf(error));
  } finally {
    clearTimeout(timer);
  }
}
