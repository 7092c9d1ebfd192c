/** A machine without the foreign clients skips the interop tests; CI sets SWARMHAUL_INTEROP=required and must have them. */

import { execFile } from 'node:child_process';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { type ForeignClient, missingTool } from './clients/client.js';
import { DEBIAN_PYTHON } from './clients/libtorrent.js';
import { namespacesMissing } from './namespace.js';

const exec = promisify(execFile);

async function whyNot(clients: readonly ForeignClient[], programs: readonly string[]): Promise<string | null> {
  const missing = await missingTool([...programs, ...clients.flatMap((client) => client.needs)]);
  if (missing !== null) return `${missing} is not installed`;
  if (clients.some((client) => client.needs.includes(DEBIAN_PYTHON))) {
    const found = await exec(DEBIAN_PYTHON, ['-c', 'import libtorrent']).then(
      () => true,
      () => false,
    );
    if (!found) return 'python3-libtorrent is not installed';
  }
  return clients.some((client) => client.needsNamespace) ? namespacesMissing() : null;
}

/** True when the test was skipped because something is missing. Throws instead of skipping where they are required. */
export async function requireClients(
  test: TestContext,
  clients: readonly ForeignClient[],
  programs: readonly string[] = ['mktorrent'],
): Promise<boolean> {
  const reason = await whyNot(clients, programs);
  if (reason === null) return false;
  if (process.env.SWARMHAUL_INTEROP === 'required') throw new Error(`interop test cannot run: ${reason}`);
  test.skip(reason);
  return true;
}
