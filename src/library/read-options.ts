/** The arguments of `Torrent.read`. Pure. */
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { ReadOptions } from '../torrent-api.js';
import { checkOptions, flag, type Rules, wholeNumber } from './check-options.js';

type ReadMetainfo = Pick<Metainfo, 'name' | 'files' | 'isMultiFile'>;

const bytes = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const READ_RULES: Rules<ReadOptions> = { start: bytes, end: bytes, reusesMemory: flag };

/**
 * @param file index in `files`, or a path with '/'
 * @throws HaulError BAD_ARGUMENT naming the argument
 */
export function checkRead(
  metainfo: ReadMetainfo,
  file: number | string,
  options: ReadOptions,
): { readonly file: number; readonly start: number; readonly end: number; readonly reusesMemory: boolean } {
  checkOptions('read', options, READ_RULES);
  const index = typeof file === 'string' ? indexOf(metainfo, file) : file;
  const entry = Number.isInteger(index) ? metainfo.files[index] : undefined;
  if (entry === undefined) throw wrong('file', `${JSON.stringify(file)} is no file of ${metainfo.name}`);
  const { lengthBytes, isPad, symlinkPath, path } = entry;
  if (isPad) throw wrong('file', `file ${index} is padding: there is nothing to read`);
  if (symlinkPath !== null) throw wrong('file', `${path.join('/')} is a link to ${symlinkPath.join('/')}: read that`);
  const { start = 0, end = lengthBytes, reusesMemory = false } = options;
  if (end > lengthBytes) throw wrong('end', `end is at most ${lengthBytes}, the length of ${path.join('/')}`);
  if (start > end) throw wrong('start', `start is at most ${end}, where the read ends`);
  return { file: index, start, end, reusesMemory };
}

/** With the torrent's own folder or without it. */
function indexOf({ files, name, isMultiFile }: ReadMetainfo, path: string): number {
  const isAt = (wanted: string): number => files.findIndex((entry) => !entry.isPad && entry.path.join('/') === wanted);
  const index = isAt(path);
  return index >= 0 || !isMultiFile ? index : isAt(`${name}/${path}`);
}

function wrong(option: string, what: string): HaulError {
  return new HaulError('BAD_ARGUMENT', what, { call: 'read', option });
}
