/** Hashes a file that lies there, a step at a time, so that one can see how far it is and stop. */
import { HaulError } from '../../errors.js';
import type { DiskThread } from '../disk-threads.js';
import type { VerifyOptions } from './port.js';

const STEP_BYTES = 64 * 1024 * 1024;

/**
 * @returns SHA-256 of its first `lengthBytes`, in hexadecimal
 * @throws HaulError as the file system says, or ABORTED
 */
export async function hashFile(
  thread: DiskThread,
  id: number,
  path: string,
  lengthBytes: number,
  { onHashed, signal }: VerifyOptions,
): Promise<string> {
  let toldBytes = 0;
  const tell = (doneBytes: number): void => {
    onHashed?.(doneBytes - toldBytes);
    toldBytes = doneBytes;
  };
  try {
    for (let next = STEP_BYTES; next < lengthBytes; next += STEP_BYTES) {
      if (signal?.aborted === true) throw new HaulError('ABORTED', `hash ${path}: it was stopped`);
      await step(thread, id, path, next);
      tell(next);
    }
    const { sha256 } = await thread.digest(id, path, lengthBytes, null);
    tell(lengthBytes);
    return sha256;
  } finally {
    thread.endHash(id);
  }
}

function step(thread: DiskThread, id: number, path: string, untilBytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.beginHash(id, { path, onDone: () => resolve(), onFailure: reject });
    thread.hash(id, path, untilBytes, null);
  });
}
