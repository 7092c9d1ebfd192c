/** The catalogue in PostgreSQL passes the suite of all catalogues, on a real server. */
import { test } from 'node:test';
import type { PostgresCatalogue } from '../../src/depot/catalogue/postgres/postgres.js';
import { skipWithout } from '../support/requirements.js';
import { testAdding } from './catalogue-adds.js';
import { type CatalogueMaker, testCatalogue } from './catalogue-conformance.js';
import { testLocks } from './catalogue-locks.js';
import { testMarks } from './catalogue-marks.js';
import { MISSING, postgresKit } from './postgres-kit.js';

// Whether rows outlive the server is for others to find out.
const kit = postgresKit(['fsync=off']);

const maker: CatalogueMaker = {
  make: (scope) => kit.open(scope, kit.freshUrl()),
  audit: (catalogue) => (catalogue as PostgresCatalogue).audit(),
};

if (MISSING === null) {
  testCatalogue('PostgreSQL', maker);
  testAdding('PostgreSQL', maker);
  testMarks('PostgreSQL', maker);
  testLocks('PostgreSQL', maker);
} else {
  test('PostgreSQL', (t) => void skipWithout(t, MISSING));
}
