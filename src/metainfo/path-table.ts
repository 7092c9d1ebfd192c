/**
 * The paths under which the files of one torrent are stored. Torrents with odd names are taken by one rule, the same on
 * every run. Only names change by it: order, lengths and offsets are the torrent's, and so is every byte's place in the
 * pieces.
 *
 * 1. Empty components and `.` are left out. A file whose path has no other is named by its place in the list: `unnamed
 *    3`.
 * 2. What leaves the folder is refused, as are NUL and other control characters (`paths.ts`).
 * 3. A component becomes storable (`safeName`): `\` and bytes that are not UTF-8 become `_`; beyond 255 bytes it is
 *    cut, its
 *    extension kept.
 * 4. Who can keep a name as it stands does: folders first, then the first file of that name.
 * 5. All others come after those, in the order of the torrent. A name that is taken gets ` (2)`, ` (3)`, ... before its
 *    extension. So the same file twice is stored twice, and a file in the way of a folder steps aside.
 * 6. Padding (BEP 47) is never stored: it needs no path, and may repeat one. Targets of symbolic links follow all
 *    renames.
 *
 * Invariant: two files never get one path, no file gets the path of a folder, and no new name is one that stands in the
 * torrent. Time and memory are linear in the number of components, whatever the names.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import {
  foldName,
  latin1,
  type PathRules,
  readableName,
  type SafeName,
  safeName,
  showName,
  splitName,
  type Warn,
  warnOfName,
  whyRenamed,
} from './paths.js';

const DOT = 0x2e;
/** ` (1000001)`: no torrent has more names that collide than files (`LIMITS.fileCount`). */
const SUFFIX_BYTES = 10;

/** What is left of a file's path without the components that name nothing. */
type Left = 'whole' | 'shortened' | 'unnamed';

/** A file or folder of the torrent. Handles of files go to the caller; only this module looks inside. */
export class PathNode {
  /** Final after `settle`. */
  name = '';
  isRenamed = false;
  readonly id: number;
  readonly parent: PathNode | null;
  readonly raw: Uint8Array;
  readonly isFolder: boolean;
  readonly left: Left;

  constructor(id: number, parent: PathNode | null, raw: Uint8Array, isFolder: boolean, left: Left) {
    this.id = id;
    this.parent = parent;
    this.raw = raw;
    this.isFolder = isFolder;
    this.left = left;
  }
}

/** All paths of one torrent, below its root folder: `addFile` for each file, then `settle`, then ask. */
export class PathTable {
  readonly #rules: PathRules;
  readonly #root = new PathNode(0, null, new Uint8Array(0), true, 'whole');
  /** In the order of first occurrence: a folder comes before what it holds. */
  readonly #nodes: PathNode[] = [];
  // One map for all folders, keyed by the folder's id and the name: a map for each folder takes several times the
  // memory.
  /** By raw name. */
  readonly #folders = new Map<string, PathNode>();
  /** By raw name, the first of each; made for the first link. */
  #files: Map<string, PathNode> | null = null;

  constructor(rules: PathRules) {
    this.#rules = rules;
  }

  /**
   * Takes the path of the next file.
   * @param index its place in the list of files
   * @throws HaulError BAD_TORRENT: no components, or too deep
   */
  addFile(raw: readonly Uint8Array[], index: number): PathNode {
    const kept = meant(raw);
    let left: Left = kept.length === raw.length ? 'whole' : 'shortened';
    if (kept.length === 0) {
      left = 'unnamed';
      kept.push(Buffer.from(`unnamed ${index + 1}`));
    } else if (left === 'shortened') {
      const path = () => showName(readablePath(raw).join('/'));
      this.#rules.warn(() => `empty components were left out of the path ${path()}`);
    }
    let folder = this.#root;
    for (let depth = 0; depth < kept.length - 1; depth++) folder = this.#folder(folder, kept[depth]!);
    return this.#add(folder, kept.at(-1)!, false, left);
  }

  /**
   * Gives every file and folder its name.
   * @returns how many suffixes were tried: the cost of names that collide
   * @throws HaulError BAD_TORRENT: a name that is refused
   */
  settle(): number {
    const { platform } = this.#rules;
    const wanted = this.#nodes.map(({ raw, left }) => {
      const name = safeName(raw, platform);
      return left === 'unnamed' ? { ...name, change: 'unnamed' as const } : name;
    });
    const names = new NameBook(this.#rules);
    for (const isFolder of [true, false]) {
      this.#nodes.forEach((node, at) => {
        if (node.isFolder === isFolder && wanted[at]!.change === null) names.keep(node, wanted[at]!);
      });
    }
    this.#nodes.forEach((node, at) => {
      if (node.name === '') names.rename(node, wanted[at]!);
    });
    return names.suffixTries;
  }

  /** Components of a file's path below the root folder. */
  pathOf(file: PathNode): string[] {
    const path: string[] = [];
    for (let node = file; node.parent !== null; node = node.parent) path.push(node.name);
    return path.reverse();
  }

  /** The path is not what the torrent says. */
  isMended(file: PathNode): boolean {
    if (file.left !== 'whole') return true;
    for (let node: PathNode | null = file; node !== null; node = node.parent) if (node.isRenamed) return true;
    return false;
  }

  /**
   * Path of a file that is never stored (BEP 47 padding): safe, but it may repeat, as padding of equal length does.
   * @param raw null when the torrent gives none
   */
  padPath(raw: readonly Uint8Array[] | null, lengthBytes: number): string[] {
    const kept = raw === null || raw.length === 0 ? [] : meant(raw);
    if (kept.length === 0) return ['.pad', String(lengthBytes)];
    return kept.map((component) => safeName(component, this.#rules.platform).name);
  }

  /**
   * A symlink target (BEP 47), relative to the root; follows the renames. Where a name occurs more than once, it means
   * the one that kept it.
   * @throws HaulError BAD_TORRENT: it leaves the folder, or names nothing below it
   */
  linkTarget(raw: readonly Uint8Array[]): string[] {
    const kept = meant(raw);
    if (kept.length === 0) throw new HaulError('BAD_TORRENT', 'unsafe path: a symbolic link to the folder itself');
    this.#files ??= this.#firstFiles();
    const path: string[] = [];
    let folder: PathNode | undefined = this.#root;
    for (const component of kept) {
      const key: string | undefined = folder && keyOf(folder, latin1(component));
      const child: PathNode | undefined =
        key === undefined ? undefined : (this.#folders.get(key) ?? this.#files.get(key));
      path.push(child?.name ?? this.#strangeName(component));
      folder = child?.isFolder ? child : undefined;
    }
    return path;
  }

  #strangeName(component: Uint8Array): string {
    const wanted = safeName(component, this.#rules.platform);
    warnOfName(wanted, wanted.name, this.#rules.warn);
    return wanted.name;
  }

  #firstFiles(): Map<string, PathNode> {
    const files = new Map<string, PathNode>();
    for (const node of this.#nodes) {
      if (node.isFolder || node.left === 'unnamed') continue;
      const key = keyOf(node.parent!, latin1(node.raw));
      if (!files.has(key)) files.set(key, node);
    }
    return files;
  }

  #folder(parent: PathNode, raw: Uint8Array): PathNode {
    const key = keyOf(parent, latin1(raw));
    let folder = this.#folders.get(key);
    if (folder === undefined) {
      folder = this.#add(parent, raw, true, 'whole');
      this.#folders.set(key, folder);
    }
    return folder;
  }

  #add(parent: PathNode, raw: Uint8Array, isFolder: boolean, left: Left): PathNode {
    const node = new PathNode(this.#nodes.length + 1, parent, raw, isFolder, left);
    this.#nodes.push(node);
    return node;
  }
}

/** The names given so far, in all folders. */
class NameBook {
  /** Suffixes looked up. */
  suffixTries = 0;
  readonly #warn: Warn;
  readonly #ignoresCase: boolean;
  /** Names that cannot be given again, folded where the system ignores case. */
  readonly #taken = new Set<string>();
  /** Where it does not: folded names, to warn of those that other systems cannot tell apart. */
  readonly #folded = new Set<string>();
  /** By stem and extension: the next suffix to try. */
  readonly #suffixes = new Map<string, number>();

  constructor({ platform, warn }: PathRules) {
    this.#warn = warn;
    this.#ignoresCase = platform === 'win32' || platform === 'darwin';
  }

  /** Leaves the node without a name when another has it. */
  keep(node: PathNode, wanted: SafeName): void {
    if (this.#take(node, wanted.name)) warnOfName(wanted, wanted.name, this.#warn);
  }

  rename(node: PathNode, wanted: SafeName): void {
    node.isRenamed = true;
    if (this.#take(node, wanted.name)) {
      warnOfName(wanted, wanted.name, this.#warn);
      return;
    }
    // Counted per stem and extension: however many names collide, each costs one step, and each name in the way one
    // more.
    const [stem, extension] = splitName(wanted.name, SUFFIX_BYTES);
    const key = keyOf(node.parent!, `${this.#same(stem)}/${this.#same(extension)}`);
    let suffix = this.#suffixes.get(key) ?? 2;
    for (this.suffixTries++; !this.#take(node, `${stem} (${suffix})${extension}`); this.suffixTries++) suffix++;
    this.#suffixes.set(key, suffix + 1);
    this.#warn(() => {
      const { name, original, change } = wanted;
      const before = change === null ? '' : `${whyRenamed(original, change)}, and `;
      return `renamed to ${showName(node.name)}: ${before}${showName(name)} is taken`;
    });
  }

  #same(name: string): string {
    return this.#ignoresCase ? foldName(name) : name;
  }

  /** False: the name is taken. */
  #take(node: PathNode, name: string): boolean {
    const key = keyOf(node.parent!, this.#same(name));
    if (this.#taken.has(key)) return false;
    this.#taken.add(key);
    if (!this.#ignoresCase) {
      const fold = foldName(name);
      const folded = fold === name ? key : keyOf(node.parent!, fold);
      if (this.#folded.has(folded)) this.#warn(() => `the name ${showName(name)} differs only in case from another`);
      this.#folded.add(folded);
    }
    node.name = name;
    return true;
  }
}

/** Ids hold no slash. */
function keyOf(folder: PathNode, name: string): string {
  return `${folder.id}/${name}`;
}

/** Path components without those that name nothing. */
function meant(raw: readonly Uint8Array[]): Uint8Array[] {
  if (raw.length === 0) throw new HaulError('BAD_TORRENT', 'unsafe path: it has no components');
  const kept = raw.filter((component) => component.length > 1 || (component.length === 1 && component[0] !== DOT));
  if (kept.length > LIMITS.pathDepth) {
    throw new HaulError('BAD_TORRENT', `unsafe path: deeper than ${LIMITS.pathDepth} folders`, { depth: kept.length });
  }
  return kept;
}

/** A path as the torrent has it, for people. */
export function readablePath(raw: readonly Uint8Array[]): string[] {
  return raw.map(readableName);
}
