import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { prepareToRead } from '../../src/depot/depot-said.js';
import { Problem } from '../../src/depot/http/problems.js';
import { prepareQuery, queryOf } from '../../src/depot/http/query.js';

const optional = { id: 'x', query: z.strictObject({ limit: z.string().transform(Number).optional() }) };
const needed = { id: 'x', query: z.strictObject({ limit: z.string() }) };
const isBadQuery = (error: unknown): boolean => error instanceof Problem && error.status === 400;

test('what no query comes to is the same before and after it was prepared, and nobody can change it', () => {
  assert.deepEqual(queryOf(optional, ''), {});
  prepareQuery(optional);
  const empty = queryOf(optional, '');
  assert.deepEqual(empty, {});
  assert.throws(() => Object.assign(empty, { limit: 1 }), TypeError);
  assert.deepEqual(queryOf(optional, 'limit=5'), { limit: 5 });
  assert.throws(() => queryOf(optional, 'limits=5'), isBadQuery);
  assert.throws(() => queryOf(optional, 'limit=5&limit=6'), isBadQuery);
});

test('an operation that needs a query refuses none, prepared or not', () => {
  prepareQuery(needed);
  assert.throws(() => queryOf(needed, ''), isBadQuery);
  assert.deepEqual(queryOf(needed, 'limit='), { limit: '' });
  prepareQuery({ query: null });
  assert.deepEqual(queryOf({ id: 'x', query: null }, '%zz'), {});
});

test('what a depot says is tried with something that it could say', () => {
  assert.ok(prepareToRead());
});
