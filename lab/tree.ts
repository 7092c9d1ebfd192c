/** What is in a folder, and how two of them differ. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

export interface TreeEntry {
  readonly lengthBytes: number;
  /** SHA-256 in hex; of the target for a symbolic link. */
  readonly sha256: string;
  readonly isExecutable: boolean;
  readonly isSymlink: boolean;
}

export async function sha256File(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}

async function readEntry(file: string): Promise<TreeEntry> {
  const stat = await lstat(file);
  if (stat.isSymbolicLink()) {
    const sha256 = createHash('sha256')
      .update(await readlink(file))
      .digest('hex');
    return { lengthBytes: 0, sha256, isExecutable: false, isSymlink: true };
  }
  const isExecutable = (stat.mode & 0o100) !== 0;
  return { lengthBytes: stat.size, sha256: await sha256File(file), isExecutable, isSymlink: false };
}

/**
 * Every file below `root` by relative path with '/', in path order. `root` may be a single file: then the path is ''.
 */
export async function readTree(root: string): Promise<Map<string, TreeEntry>> {
  const stat = await lstat(root);
  if (!stat.isDirectory()) return new Map([['', await readEntry(root)]]);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => path.join(entry.parentPath, entry.name));
  const tree = new Map<string, TreeEntry>();
  for (const file of files.sort()) {
    tree.set(path.relative(root, file).split(path.sep).join('/'), await readEntry(file));
  }
  return tree;
}

/** One SHA-256 for a whole tree: paths, lengths and contents, not modes. */
export async function sha256Tree(root: string): Promise<string> {
  const hash = createHash('sha256');
  for (const [name, entry] of await readTree(root)) hash.update(`${name}\0${entry.lengthBytes}\0${entry.sha256}\n`);
  return hash.digest('hex');
}

export interface CompareOptions {
  /** Also compare the executable bit. */
  readonly modes?: boolean;
  /** Some clients do not make empty files: with true, an empty file may be missing from `actual`. */
  readonly emptyMayBeMissing?: boolean;
  /** Files of `actual` to leave out: state files that clients put next to the data. */
  readonly ignore?: RegExp;
}

/** One line for each difference; [] when `actual` holds the same files as `expected`. */
export async function treeDifferences(
  expected: string,
  actual: string,
  options: CompareOptions = {},
): Promise<string[]> {
  const [wanted, found] = [await readTree(expected), await readTree(actual)];
  const differences: string[] = [];
  for (const [name, entry] of wanted) {
    const other = found.get(name);
    found.delete(name);
    if (other === undefined) {
      if (entry.lengthBytes > 0 || entry.isSymlink || options.emptyMayBeMissing !== true) {
        differences.push(`${name}: missing`);
      }
    } else if (other.lengthBytes !== entry.lengthBytes) {
      differences.push(`${name}: ${other.lengthBytes} bytes, expected ${entry.lengthBytes}`);
    } else if (other.sha256 !== entry.sha256 || other.isSymlink !== entry.isSymlink) {
      differences.push(`${name}: contents differ`);
    } else if (options.modes === true && other.isExecutable !== entry.isExecutable) {
      differences.push(`${name}: executable bit differs`);
    }
  }
  for (const name of found.keys()) if (options.ignore?.test(name) !== true) differences.push(`${name}: not expected`);
  return differences;
}
