/**
 * Which files `haul get` downloads: the globs of --only, --skip, --high and --low as one priority for each file of a
 * torrent.
 */
import { HaulError } from '../errors.js';
import { matcher } from '../library/glob.js';
import { type FileRange, selectedBy } from '../magnet/link.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { FilePriority } from '../metainfo/selection.js';
import { count, printable } from './format.js';

export interface SelectOptions {
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly high?: readonly string[];
  readonly low?: readonly string[];
}

export interface FileChoice {
  /** By file; undefined: no option was given. */
  readonly priorities: readonly FilePriority[] | undefined;
  /** Files that are downloaded and files there are, padding left out. */
  readonly wantedFiles: number;
  readonly fileCount: number;
}

/** Names shown of what a torrent has. */
const SHOWN_NAMES = 3;
const SHOWN_CHARACTERS = 80;

/**
 * Without --only every file is wanted; --skip wins over --only, --high over --low.
 * @param linked the files that a magnet link wants, where none of the options is given; null: all
 * @throws HaulError BAD_ARGUMENT: a glob matches no file, or nothing is left
 */
export function chooseFiles(
  metainfo: Metainfo,
  { only, skip, high, low }: SelectOptions,
  linked: readonly FileRange[] | null = null,
): FileChoice {
  const stored = storedFiles(metainfo);
  const fileCount = stored.length;
  if ([only, skip, high, low].every((globs) => globs === undefined)) {
    if (linked === null) return { priorities: undefined, wantedFiles: fileCount, fileCount };
    const priorities = selectedBy(linked, metainfo.files.length);
    return { priorities, wantedFiles: stored.filter((file) => priorities[file] !== 'skip').length, fileCount };
  }
  const paths = pathsOf(metainfo);
  const matching = (option: string, globs: readonly string[] = []): Set<number> => {
    const found = globs.map((glob) => filesOf(metainfo, paths, stored, option, glob));
    return new Set(found.flat());
  };
  const isOnly = matching('--only', only);
  const isSkipped = matching('--skip', skip);
  const isHigh = matching('--high', high);
  const isLow = matching('--low', low);
  const priorities = metainfo.files.map((_, file): FilePriority => {
    if (isSkipped.has(file) || (only !== undefined && !isOnly.has(file))) return 'skip';
    if (isHigh.has(file)) return 'high';
    return isLow.has(file) ? 'low' : 'normal';
  });
  const wantedFiles = stored.filter((file) => priorities[file] !== 'skip').length;
  if (wantedFiles === 0) {
    const message = `--only and --skip leave none of the ${count(fileCount, 'file')} of ${printable(metainfo.name)}`;
    throw new HaulError('BAD_ARGUMENT', message, { option: '--skip' });
  }
  return { priorities, wantedFiles, fileCount };
}

function filesOf(
  { name, isMultiFile }: Metainfo,
  paths: readonly string[],
  stored: readonly number[],
  option: string,
  glob: string,
): number[] {
  const isMatch = matcher(glob);
  // `haul inspect` shows paths with the torrent's folder: what is copied from there must work.
  const isMatchBelow = isMultiFile && glob.startsWith(`${name}/`) ? matcher(glob.slice(name.length + 1)) : () => false;
  const found = stored.filter((file) => isMatch(paths[file]!) || isMatchBelow(paths[file]!));
  if (found.length > 0) return found;
  const folder = glob.replace(/\/+$/, '');
  const isFolder = stored.some((file) => paths[file]!.startsWith(`${folder}/`));
  const hint = isFolder ? `; for what is in a folder: '${printable(folder, SHOWN_CHARACTERS)}/**'` : '';
  const what = `${option} '${printable(glob, SHOWN_CHARACTERS)}' matches no file of ${printable(name)}`;
  const names = namesOf(paths, stored);
  throw new HaulError('BAD_ARGUMENT', `${what}, which has ${names}${hint}`, { option, glob });
}

function namesOf(paths: readonly string[], stored: readonly number[]): string {
  const shown = stored.slice(0, SHOWN_NAMES).map((file) => printable(paths[file]!, SHOWN_CHARACTERS));
  const more = stored.length > shown.length ? ` and ${stored.length - shown.length} more` : '';
  return `${shown.join(', ')}${more}`;
}

/** Some of its files, for a message. */
export function listNames(metainfo: Metainfo): string {
  return namesOf(pathsOf(metainfo), storedFiles(metainfo));
}

/** By file, without the torrent's own folder. */
function pathsOf({ files, isMultiFile }: Metainfo): string[] {
  return files.map((file) => (isMultiFile ? file.path.slice(1) : file.path).join('/'));
}

function storedFiles({ files }: Metainfo): number[] {
  return files.flatMap(({ isPad }, file) => (isPad ? [] : [file]));
}
