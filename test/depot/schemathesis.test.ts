/** schemathesis asks a real depot what its OpenAPI document allows, and what it forbids: no answer may differ. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startChild } from '../../lab/child.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope } from '../../lab/scope.js';
import { withDeadline } from '../../lab/wait.js';
import { startDepot } from '../../src/index.js';
import { requirePrograms } from '../support/requirements.js';
import { quickFolder } from './quick-folder.js';

/** Where .ci/run puts it; else on the PATH. */
const PROGRAM = process.env.SCHEMATHESIS ?? 'schemathesis';
const LIMITS = ['--max-examples', '8', '--max-time', '20', '--request-timeout', '10'];
/** The same requests each time. */
const SAME = ['--generation-deterministic', '--phases', 'coverage,fuzzing'];

test('the depot answers as its OpenAPI document says', async (context) => {
  if (await requirePrograms(context, [PROGRAM])) return;
  const scope = openScope(context);
  const folder = await quickFolder(scope);
  const depot = await startDepot({ data: path.join(folder, 'depot'), httpPort: 0, engine: { port: false } });
  scope.defer(() => depot.close());
  const config = path.join(PACKAGE_ROOT, 'test/depot/schemathesis.toml');
  assert.ok(existsSync(config));
  const words = ['--config-file', config, 'run', `${depot.url}/openapi.json`, '--no-color', ...LIMITS, ...SAME];
  const program = startChild(scope, PROGRAM, words, { cwd: folder, env: { PYTHONHASHSEED: '0' } });
  const { code } = await withDeadline(program.exited, PROGRAM, 180_000);
  assert.equal(code, 0, program.tail());
});
