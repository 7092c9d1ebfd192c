/** `--node PATH`: other builds of Node, for the peers of a bench. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ValueError } from '../../src/cli/values.js';
import { list } from './options.js';

export interface NodeBinary {
  readonly path: string;
  /**
   * Its version, and its place among those of that version when there are several: a comparison with itself shows the
   * noise.
   */
  readonly name: string;
}

/** @throws when it does not run, or is no Node */
async function versionOf(path: string): Promise<string> {
  const { stdout } = await promisify(execFile)(path, ['--print', 'process.version']).catch((error: Error) => {
    throw new ValueError(`--node ${path}: ${error.message.split('\n')[0]}`);
  });
  const version = stdout.trim();
  if (!/^v\d+\.\d+\.\d+/.test(version)) throw new ValueError(`--node ${path}: this is not Node`);
  return version;
}

/** Paths, or names that are found by PATH; comma-separated or repeated. */
export async function nodeBinaries(values: readonly string[]): Promise<NodeBinary[]> {
  const seen = new Map<string, number>();
  const binaries: NodeBinary[] = [];
  for (const path of list(values)) {
    const version = await versionOf(path);
    const place = (seen.get(version) ?? 0) + 1;
    seen.set(version, place);
    binaries.push({ path, name: place === 1 ? version : `${version} #${place}` });
  }
  return binaries;
}
