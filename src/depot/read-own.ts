/** Files of our own, read whole. Others may have put something else in their place: none keeps a thread waiting. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { HaulError } from '../errors.js';

/** The longest is the names of an agent: a tenth of it. */
const BYTES_MAX = 256 * 1024 * 1024;

/** A link is followed. @throws what the file system says; HaulError BAD_DATA: a pipe, a folder, or far too long */
export async function readOwnFile(file: string): Promise<Buffer> {
  // A pipe that nobody writes to would be waited for, in one of the few threads that all files share.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw new HaulError('BAD_DATA', `${file} is no file`, { path: file });
    if (status.size > BYTES_MAX) throw new HaulError('BAD_DATA', `${file} is too long to be ours`, { path: file });
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** The same as text in UTF-8. */
export async function readOwnText(file: string): Promise<string> {
  return (await readOwnFile(file)).toString('utf8');
}
