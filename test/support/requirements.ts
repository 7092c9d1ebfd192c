/**
 * What a test needs of the machine beyond Node: foreign programs, network namespaces, the right to mount. Without it
 * the test is skipped with the reason; CI sets SWARMHAUL_INTEROP=required, and there it fails.
 */

import { execFile } from 'node:child_process';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { type ForeignClient, missingTool } from '../../lab/clients/client.js';
import { namespacesMissing } from '../../lab/namespace.js';
import { DEBIAN_PYTHON } from './clients/libtorrent.js';

const exec = promisify(execFile);

/** @param programs on the PATH or absolute; Debian's python means its libtorrent too. */
async function programMissing(programs: readonly string[]): Promise<string | null> {
  const missing = await missingTool(programs);
  if (missing !== null) return `${missing} is not installed`;
  if (!programs.includes(DEBIAN_PYTHON)) return null;
  const found = await exec(DEBIAN_PYTHON, ['-c', 'import libtorrent']).then(
    () => true,
    () => false,
  );
  return found ? null : 'python3-libtorrent is not installed';
}

async function whyNot(clients: readonly ForeignClient[], programs: readonly string[]): Promise<string | null> {
  const missing = await programMissing([...programs, ...clients.flatMap((client) => client.needs)]);
  if (missing !== null) return missing;
  return clients.some((client) => client.needsNamespace) ? namespacesMissing() : null;
}

/**
 * Skips the test for this reason, or fails it where nothing may be missing. Null: nothing is.
 * @returns true when skipped
 */
export function skipWithout(test: TestContext, reason: string | null): boolean {
  if (reason === null) return false;
  if (process.env.SWARMHAUL_INTEROP === 'required') throw new Error(`this test cannot run: ${reason}`);
  test.skip(reason);
  return true;
}

/** True when the test was skipped because a program is missing. */
export async function requirePrograms(test: TestContext, programs: readonly string[]): Promise<boolean> {
  return skipWithout(test, await programMissing(programs));
}

/**
 * True when the test was skipped because a program is missing that nobody has to have: it is built from source, for
 * which a machine may lack the compiler. What it would show must be shown by other means, too.
 */
export async function skipUnlessInstalled(test: TestContext, programs: readonly string[]): Promise<boolean> {
  const missing = await programMissing(programs);
  if (missing !== null) test.skip(`${missing}; it is not asked for`);
  return missing !== null;
}

/** True when the test was skipped because there are no network namespaces here. */
export async function requireNamespaces(test: TestContext): Promise<boolean> {
  return skipWithout(test, await namespacesMissing());
}

/** True when the test was skipped because something is missing. Throws instead of skipping where they are required. */
export async function requireClients(
  test: TestContext,
  clients: readonly ForeignClient[],
  programs: readonly string[] = ['mktorrent'],
): Promise<boolean> {
  return skipWithout(test, await whyNot(clients, programs));
}
