/** A request that changes something goes on to the depot as it came, with the client's own token where it sent one. */
import type { IncomingHttpHeaders } from 'node:http';
import { headerText } from '../../net/redirects.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { rowOfInfo } from '../depot-said.js';
import type { Answer, Exchange } from '../http/route.js';
import { encodePath } from '../http/target.js';
import { asProblem } from './answer-read.js';
import { readAnswer, refusal } from './depot-answers.js';
import type { DepotPort } from './depot-port.js';
import type { Directory } from './directory.js';
import { AGENT_LIMITS } from './limits.js';
import type { PutCopy } from './put-copy.js';
import type { PutFill } from './put-fill.js';

/** Of the request, what means something to the depot. */
const SENT = [
  'authorization',
  'content-type',
  'content-length',
  'content-encoding',
  'content-range',
  'if-match',
  'if-none-match',
  'repr-digest',
  'content-digest',
  'x-checksum-sha256',
];
/** Of its answer. */
const GIVEN = ['content-type', 'etag', 'repr-digest'];

function pick(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = headerText(headers[name]);
    if (value !== null) picked[name] = value;
  }
  return picked;
}

/** Links that announce name the key of whoever's token it was: that may be ours. */
function withoutKeys(body: Buffer): string {
  try {
    const said = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    return `${JSON.stringify({ ...said, torrentUrl: null, magnet: null })}\n`;
  } catch {
    return '';
  }
}

export interface PassOnParts {
  readonly client: DepotPort;
  readonly directory: Directory;
  readonly fill: PutFill;
}

/** Only of bytes as they are stored: of a range, or of a compressed body, the depot makes something else. */
function copyOf({ request: { headers } }: Exchange, fill: PutFill): PutCopy | null {
  if (headers['content-encoding'] !== undefined || headers['content-range'] !== undefined) return null;
  const stated = headers['content-length'];
  return fill.copy(stated === undefined ? null : Number(stated));
}

/** @param name full. @throws Problem */
export async function passOn(
  exchange: Exchange,
  { client, directory, fill }: PassOnParts,
  name: string,
  method: 'PUT' | 'DELETE',
): Promise<Answer> {
  const { request, target, signal } = exchange;
  const query = target.rawQuery === '' ? '' : `?${target.rawQuery}`;
  const hasBody = headerText(request.headers['content-length']) !== '0' && method === 'PUT';
  const body = hasBody ? await exchange.body() : null;
  const copy = hasBody ? copyOf(exchange, fill) : null;
  let row: ArtifactRow | null = null;
  try {
    const opened = await client.ask(`/${encodePath(name)}${query}`, {
      lane: method === 'PUT' ? 'upload' : 'question',
      method,
      headers: pick(request.headers, SENT),
      ...(body === null ? {} : { body: copy?.passing(body) ?? body }),
      // A long upload takes its time, and the depot sees to it that something comes.
      timeoutMs: method === 'PUT' ? AGENT_LIMITS.uploadMs : AGENT_LIMITS.answerMs,
      signal,
    });
    if (opened.status >= 400) throw await refusal(opened, request.headers.authorization !== undefined);
    const said = await readAnswer(opened.body, AGENT_LIMITS.infoBytes, AGENT_LIMITS.answerMs);
    row = opened.status < 300 ? rowOfInfo(name, said) : null;
    const answer = { status: opened.status, headers: pick(opened.headers, GIVEN) };
    return said.length === 0 ? answer : { ...answer, body: withoutKeys(said) };
  } catch (error) {
    throw asProblem(error);
  } finally {
    // Whoever has its answer sees what it did, also where that went wrong half way.
    // What the client's own token could write ours may not be permitted to read.
    directory.changed(name, request.headers.authorization === undefined ? row : null);
    if (copy !== null) void fill.ended(copy, row);
  }
}
