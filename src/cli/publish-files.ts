/**
 * What `haul publish` sends: the files that paths name, each with the name it gets. Links to files are followed while
 * they stay below what was named; links to folders are not, so that the walk ends.
 */
import type { Stats } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fullName } from '../depot/names.js';
import { fromSystemError, HaulError } from '../errors.js';
import { isChosen, type PathRule, parsePathRule } from './publish-patterns.js';

export interface FileToPublish {
  /** On the disk. */
  readonly path: string;
  /** In the depot, or in the archive. */
  readonly name: string;
  readonly lengthBytes: number;
  readonly mode: number;
  readonly mtimeMs: number;
}

export interface Found {
  readonly files: readonly FileToPublish[];
  /** One per thing that is left out without being asked. */
  readonly warnings: readonly string[];
}

interface FindRules {
  readonly withHidden: boolean;
  /** What is named plainly and not there. */
  readonly missing: 'error' | 'warn' | 'ignore';
  /** More than one file is refused; below a name with a slash at its end it keeps its own, whatever folder it is in. */
  readonly isSingle?: boolean;
}

/**
 * @param paths of files and folders, globs, and "!" before what is left out
 * @param name a single file is called that; a folder, several paths, or a name with a slash at its end: all is below it
 * @throws HaulError NOT_FOUND and the like; BAD_ARGUMENT: a name that no artifact may have
 */
export async function findFiles(
  paths: readonly string[],
  name: string,
  { withHidden, missing, isSingle = false }: FindRules,
): Promise<Found> {
  const warnings: string[] = [];
  const found = new Map<string, FileToPublish>();
  const rules = paths.map(parsePathRule);
  const { roots, bases } = await rootsOf(rules, missing, warnings);
  const [only] = roots;
  const isAlone = rules.filter(({ isExcluded }) => !isExcluded).length === 1 && rules[0]!.test === null;
  const isOne = (isSingle || (isAlone && only?.stats.isFile() === true)) && !name.endsWith('/');
  const base = commonFolder(bases);
  const below = name.replace(/\/+$/, '');
  const nameOf = (path: string): string => {
    const parts = isSingle ? basename(path) : relative(base, path).split(sep).join('/');
    return isOne ? below : below === '' ? parts : `${below}/${parts}`;
  };
  const add = (file: Omit<FileToPublish, 'name'>): void => {
    const { path } = file;
    if (!found.has(path) && isChosen(rules, path)) found.set(path, { ...file, name: nameOf(path) });
  };
  for (const { path, stats } of roots) {
    if (stats.isDirectory()) for await (const file of walk(path, path, withHidden, warnings)) add(file);
    else add(fileOf(path, stats));
  }
  const files = [...found.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  if (isSingle && files.length > 1)
    throw new HaulError('BAD_ARGUMENT', `--single sends one file, and these are ${files.length}`, { option: 'single' });
  if (below !== '') fullName('artifacts', below);
  for (const file of files) checkName(file);
  return { files, warnings };
}

/** @throws HaulError BAD_ARGUMENT */
function checkName({ name, path }: FileToPublish): void {
  try {
    fullName('artifacts', name);
  } catch (error) {
    throw new HaulError('BAD_ARGUMENT', `${path}: ${(error as Error).message}`, { option: 'name', path });
  }
}

interface Root {
  readonly path: string;
  readonly stats: Stats;
}

interface Roots {
  readonly roots: readonly Root[];
  /** Folders of all that is named, there or not: names are the same whatever of it a build has made. */
  readonly bases: readonly string[];
}

/**
 * Where files are looked for; a glob whose folder is not there matches nothing.
 * @throws HaulError NOT_FOUND, BAD_ARGUMENT, …
 */
async function rootsOf(rules: readonly PathRule[], missing: FindRules['missing'], warnings: string[]): Promise<Roots> {
  const roots: Root[] = [];
  const bases: string[] = [];
  for (const { root, test, text, isExcluded } of rules) {
    if (isExcluded) continue;
    const isPlain = test === null;
    try {
      const stats = await look(root);
      if (isPlain && !stats.isDirectory() && !stats.isFile())
        throw new HaulError('BAD_ARGUMENT', `${text} is no file and no folder; - is standard input`, { path: root });
      roots.push({ path: root, stats });
      bases.push(stats.isDirectory() ? root : dirname(root));
    } catch (error) {
      const isLeftOut = error instanceof HaulError && (error.code === 'NOT_FOUND' || error.code === 'BAD_ARGUMENT');
      if (!isLeftOut || (isPlain && missing === 'error')) throw error;
      bases.push(isPlain ? dirname(root) : root);
      const why = error.code === 'NOT_FOUND' ? 'is not there' : 'is no file and no folder: left out';
      if (isPlain && missing === 'warn') warnings.push(`${text} ${why}`);
    }
  }
  return { roots, bases };
}

async function look(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw fromSystemError(error, 'publish', path);
  }
}

function fileOf(path: string, { size, mode, mtimeMs }: Stats): Omit<FileToPublish, 'name'> {
  return { path, lengthBytes: size, mode: mode & 0o777, mtimeMs };
}

async function* walk(
  root: string,
  folder: string,
  withHidden: boolean,
  warnings: string[],
): AsyncGenerator<Omit<FileToPublish, 'name'>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw fromSystemError(error, 'publish', folder);
  });
  for (const entry of entries) {
    if (!withHidden && entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.name.includes('\uFFFD')) await checkUtf8(path);
    if (entry.isDirectory()) yield* walk(root, path, withHidden, warnings);
    else if (entry.isFile()) yield fileOf(path, await look(path));
    else if (entry.isSymbolicLink()) {
      const target = await linked(root, path);
      if (target === null) warnings.push(`${path} is a link that leads to no file below ${basename(root)}: left out`);
      else yield fileOf(path, target);
    } else warnings.push(`${path} is no file: left out`);
  }
}

/** Bytes that are no UTF-8 come as U+FFFD, under which there is nothing. @throws HaulError BAD_ARGUMENT */
async function checkUtf8(path: string): Promise<void> {
  const isThere = await lstat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) throw new HaulError('BAD_ARGUMENT', `${path}: its name is not UTF-8; rename it`, { path });
}

/** Null: it leads out, to a folder, or nowhere. */
async function linked(root: string, path: string): Promise<Stats | null> {
  try {
    const [real, top] = await Promise.all([realpath(path), realpath(root)]);
    const stats = await stat(real);
    return stats.isFile() && real.startsWith(top + sep) ? stats : null;
  } catch {
    return null;
  }
}

function commonFolder(folders: readonly string[]): string {
  if (folders.length === 0) return sep;
  let common = folders[0]!.split(sep);
  for (const folder of folders.slice(1)) {
    const parts = folder.split(sep);
    let same = 0;
    while (same < common.length && common[same] === parts[same]) same++;
    common = common.slice(0, same);
  }
  return common.join(sep) || sep;
}
