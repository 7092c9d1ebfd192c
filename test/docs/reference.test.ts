/** The reference of the library (`npm run docs`): all that it exports is documented, and exported whole. */
import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/child.js';
import { PACKAGE_ROOT } from '../../lab/root.js';
import { openScope } from '../../lab/scope.js';

const TYPEDOC = path.join(PACKAGE_ROOT, 'node_modules', 'typedoc', 'bin', 'typedoc');

test('every exported symbol is documented', async (t) => {
  if (
    await access(TYPEDOC).then(
      () => false,
      () => true,
    )
  ) {
    t.skip('typedoc is not installed: npm ci');
    return;
  }
  const said = await run(openScope(t), process.execPath, [TYPEDOC, '--emit', 'none'], {
    cwd: PACKAGE_ROOT,
    timeoutMs: 240_000,
  });
  assert.doesNotMatch(said, /warning|error/i);
});
