/**
 * Whether a folder lies where a disk is to be mounted and is not: a new depot or cache there would be on the wrong
 * disk, and look like one that has lost everything.
 */
import { readFile } from 'node:fs/promises';
import { HaulError } from '../../errors.js';

/** Spaces and the like are octal in both files. */
function plain(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * Null: all that is to be mounted above the folder, or there, is. Pure.
 * @param folder without links
 * @param fstab text of /etc/fstab; what has `noauto` is mounted when somebody wants it
 * @param mountinfo text of /proc/self/mountinfo
 */
export function unmountedAbove(folder: string, fstab: string, mountinfo: string): string | null {
  const mounted = new Set(mountinfo.split('\n').map((line) => plain(line.split(' ')[4] ?? '')));
  for (const line of fstab.split('\n')) {
    const [source = '', place = '', , options = ''] = line.trim().split(/\s+/);
    const at = plain(place).replace(/(?<=.)\/+$/, '');
    if (source.startsWith('#') || !at.startsWith('/') || at === '/' || options.split(',').includes('noauto')) continue;
    if ((folder === at || folder.startsWith(`${at}/`)) && !mounted.has(at)) return at;
  }
  return null;
}

/** Before something new is made in it. @param what "data" or "cache". @throws HaulError BAD_ARGUMENT */
export async function checkMounted(folder: string, what: string): Promise<void> {
  const [fstab, mountinfo] = await Promise.all(
    ['/etc/fstab', '/proc/self/mountinfo'].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  const missing = mountinfo === '' ? null : unmountedAbove(folder, fstab!, mountinfo!);
  if (missing === null) return;
  const why = `nothing is in ${folder}, and ${missing}, which /etc/fstab has, is not mounted`;
  throw new HaulError('BAD_ARGUMENT', `${why}: mount it, or choose another folder`, { option: what, path: folder });
}
