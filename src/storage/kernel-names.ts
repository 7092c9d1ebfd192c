/**
 * Where the kernel says that something open is. On file systems that do not tell case (FAT, exFAT, ext4 with casefold)
 * that is the name on disk, not the one that was typed: compare such names with each other only.
 */
import { constants, readlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { sep } from 'node:path';
import { whenRoom } from './patience.js';

/** Null: nobody says (no /proc, a mount that cannot be reached any more). */
export function nameOf(fd: number): string | null {
  try {
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    return path.startsWith(sep) ? path : null;
  } catch {
    return null;
  }
}

/**
 * @param otherwise where nobody says, or the folder may not be read
 * @param name for tests
 */
export async function nameOfFolder(folder: string, otherwise: string, name = nameOf): Promise<string> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK;
  const handle = await whenRoom(() => open(folder, flags)).catch(() => null);
  if (handle === null) return otherwise;
  try {
    return name(handle.fd) ?? otherwise;
  } finally {
    await handle.close();
  }
}

/** Both as the kernel names them. */
export function isBelow(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
