/** A small file of the depot's own, written beside its place, forced and renamed: it is the old one or the new one. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { forceFile, forceFolder } from '../storage/force.js';

/** Durable when it resolves. @throws what the file system says; the old one is as it was then */
export async function replaceFile(file: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const beside = `${file}.new`;
  try {
    await rm(beside, { force: true });
    const handle = await open(beside, 'wx', mode);
    try {
      await handle.writeFile(content);
      await forceFile(handle);
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw error;
  }
  await forceFolder(dirname(file));
}

/** Takes away what a process left that was killed while it wrote one of these. @param names of files in the folder */
export async function sweepHalfWritten(folder: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => rm(join(folder, `${name}.new`), { force: true })));
}
