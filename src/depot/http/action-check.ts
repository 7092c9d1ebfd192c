/**
 * Whether all that the result of an action names is there. Bazel takes what it finds under `/ac` for a promise: where
 * outputs went, for they were fetched longer ago, a build that needs them later fails. So the result is not there
 * either, and the action is run again. Outputs count as used with their result.
 */
import { forEachConcurrently } from '../../storage/concurrently.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { filesOfTree, type OutputDigest, outputsOf } from '../doors/action-result.js';
import type { Inside } from './inside.js';

/** Longer ones are believed. */
const READ_BYTES_MAX = 4 * 1024 * 1024;
const LOOKS_AT_ONCE = 16;

/** @param row below `/ac` */
export async function hasOutputs(row: ArtifactRow, { depository, used }: ActionInside): Promise<boolean> {
  const outputs = row.lengthBytes > READ_BYTES_MAX ? null : outputsOf(await wholeOf(row, depository));
  if (outputs === null) return true;
  const found: string[] = [];
  const isThere = async ({ sha256, lengthBytes }: OutputDigest): Promise<ArtifactRow | null> => {
    const output = await depository.find(`cas/${sha256}`);
    if (output?.lengthBytes !== lengthBytes) return null;
    found.push(output.name);
    return output;
  };
  let isWhole = true;
  const look = (digests: readonly OutputDigest[]) =>
    forEachConcurrently(digests, LOOKS_AT_ONCE, async (digest) => {
      if (isWhole && (await isThere(digest)) === null) isWhole = false;
    });
  await look(outputs.files);
  for (const tree of outputs.trees) {
    const listed = isWhole ? await isThere(tree) : null;
    if (listed === null) return false;
    if (listed.lengthBytes > READ_BYTES_MAX) continue;
    await look(filesOfTree(await wholeOf(listed, depository)) ?? []);
  }
  if (isWhole) for (const name of found) used?.(name);
  return isWhole;
}

type ActionInside = Pick<Inside, 'used'> & { readonly depository: Pick<Inside['depository'], 'find' | 'read'> };

async function wholeOf(row: ArtifactRow, depository: Pick<Inside['depository'], 'read'>): Promise<Buffer> {
  const slices: Buffer[] = [];
  for await (const slice of depository.read(row, { begin: 0, end: row.lengthBytes })) slices.push(Buffer.from(slice));
  return Buffer.concat(slices);
}
