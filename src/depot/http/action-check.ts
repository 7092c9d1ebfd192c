/**
 * Whether all that the result of an action names is there. Bazel takes what it finds under `/ac` for a promise: where
 * outputs went, for they were fetched longer ago, a build that needs them later fails. So the result is not there
 * either, and the action is run again. Outputs count as used with their result.
 */
import { forEachConcurrently } from '../../storage/concurrently.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { filesOfTree, type OutputDigest, outputsOf } from '../doors/action-result.js';
import type { Inside } from './inside.js';

/** Of the result and the folders that it names; what is longer is believed, as is what lies beyond these in all. */
const READ_BYTES_MAX = 4 * 1024 * 1024;
/** Some 20 us of the main thread each. */
const LOOKS_MAX = 5_000;
const LOOKS_AT_ONCE = 16;

type ActionInside = Pick<Inside, 'used'> & { readonly depository: Pick<Inside['depository'], 'find' | 'read'> };

/** @param row below `/ac` */
export async function hasOutputs(row: ArtifactRow, { depository, used }: ActionInside): Promise<boolean> {
  let leftBytes = READ_BYTES_MAX;
  const read = async (what: ArtifactRow): Promise<Buffer | null> => {
    if (what.lengthBytes > leftBytes) return null;
    leftBytes -= what.lengthBytes;
    return wholeOf(what, depository);
  };
  const bytes = await read(row);
  const outputs = bytes && outputsOf(bytes);
  if (outputs === null) return true;
  /** By digest; null: it is not there. */
  const found = new Map<string, ArtifactRow | null>();
  let isWhole = true;
  const look = (digests: readonly OutputDigest[]): Promise<void> => {
    const fresh = new Map(digests.map((digest) => [digest.sha256, digest]));
    for (const sha256 of found.keys()) fresh.delete(sha256);
    const looked = [...fresh.values()].slice(0, LOOKS_MAX - found.size);
    return forEachConcurrently(looked, LOOKS_AT_ONCE, async ({ sha256, lengthBytes }) => {
      if (!isWhole) return;
      const output = await depository.find(`cas/${sha256}`);
      const isThere = output?.lengthBytes === lengthBytes;
      found.set(sha256, isThere ? output : null);
      if (!isThere) isWhole = false;
    });
  };
  await look([...outputs.files, ...outputs.trees]);
  for (const { sha256 } of outputs.trees) {
    const tree = isWhole ? found.get(sha256) : null;
    const listed = tree && (await read(tree));
    if (listed) await look(filesOfTree(listed) ?? []);
  }
  if (isWhole) for (const output of found.values()) if (output !== null) used?.(output.name);
  return isWhole;
}

async function wholeOf(row: ArtifactRow, depository: Pick<Inside['depository'], 'read'>): Promise<Buffer> {
  const slices: Buffer[] = [];
  for await (const slice of depository.read(row, { begin: 0, end: row.lengthBytes })) slices.push(Buffer.from(slice));
  return Buffer.concat(slices);
}
