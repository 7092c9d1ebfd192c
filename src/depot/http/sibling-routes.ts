/** What other depots of the same store ask for. They need no token: they know the secret of the catalogue. */
import { z } from 'zod';
import { HaulError } from '../../errors.js';
import { SIBLING_LIMITS } from '../siblings/limits.js';
import type { OpenSiblings } from '../siblings/open.js';
import { isProof } from '../siblings/proofs.js';
import { PROOF_HEADER, pathOf } from '../siblings/siblings.js';
import { isSha256 } from '../store/layout.js';
import { notFound } from './artifact-routes.js';
import { Problem } from './problems.js';
import type { Answer, Exchange, Operation, Route } from './route.js';
import { HEX32, HEX64 } from './schemas.js';

const AT = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,15})$/)
  .transform(Number)
  .pipe(z.int().min(0));
const HELLO_QUERY = z.strictObject({ nonce: HEX32 });
const PART_QUERY = z.strictObject({ begin: AT, end: AT, bring: z.enum(['true', 'false']) });

export function siblingRoutes({ id, proofs, give, greeted }: Omit<OpenSiblings, 'siblings'>): Route[] {
  const operation = (name: string, query: Operation['query'], handle: Operation['handle']): Route['operations'] => ({
    GET: { id: name, summary: name, scope: null, query, answers: {}, handle },
  });
  const hello = ({ query }: Exchange): Answer => {
    greeted();
    const body = JSON.stringify({ id, proof: proofs.hello(String(query.nonce), id) });
    return { status: 200, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body };
  };
  const blob = (exchange: Exchange): Answer => {
    const { request, response, params, query } = exchange;
    const part = { sha256: params.sha256!, begin: query.begin as number, end: query.end as number };
    const isBrought = query.bring === 'true';
    if (!isProof(request.headers[PROOF_HEADER], proofs.question(id, pathOf(part, isBrought))))
      throw new Problem(403, 'FORBIDDEN', 'this is for depots of the same store');
    const lengthBytes = part.end - part.begin;
    if (!isSha256(part.sha256) || lengthBytes <= 0) throw new Problem(400, 'BAD_QUERY', 'query: no part of a blob');
    const slices = give(part, isBrought);
    if (slices === null) throw notFound('it is not here');
    const sign = (): void => {
      if (!response.headersSent && !response.destroyed) response.writeProcessing();
    };
    const headers = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' };
    return { status: 200, headers, body: { lengthBytes, open: () => withSigns(slices, sign) } };
  };
  const sha256 = { schema: HEX64, description: 'Of the blob' };
  return [
    { template: '/siblings/hello', params: {}, operations: operation('hello', HELLO_QUERY, hello) },
    { template: '/siblings/blobs/{sha256}', params: { sha256 }, operations: operation('part', PART_QUERY, blob) },
  ];
}

/** Until the first bytes are there. */
async function* withSigns(slices: AsyncIterable<Uint8Array>, sign: () => void): AsyncGenerator<Uint8Array> {
  const timer = setInterval(sign, SIBLING_LIMITS.signMs);
  try {
    for await (const slice of slices) {
      clearInterval(timer);
      yield slice;
    }
  } catch (error) {
    // Who asks goes on by itself: nobody looks here again.
    if (HaulError.is(error) && error.code === 'NOT_FOUND') throw notFound('it is not there');
    throw error;
  } finally {
    clearInterval(timer);
  }
}
