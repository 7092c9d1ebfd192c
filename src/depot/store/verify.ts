/** Hashes a file that lies there, a step at a time: one sees how far it is, can stop it, and uploads get their turn. */
import { HaulError } from '../../errors.js';
import type { Digests, DiskThread } from '../disk-threads.js';
import type { VerifyOptions } from './port.js';

const STEP_BYTES = 64 * 1024 * 1024;

/**
 * Hashes its first `lengthBytes`, and its pieces where they have a length.
 * @throws HaulError as the file system says, or ABORTED
 */
export async function hashFile(
  thread: DiskThread,
  id: number,
  path: string,
  { lengthBytes, pieceLengthBytes }: { readonly lengthBytes: number; readonly pieceLengthBytes: number | null },
  { onHashed, signal }: VerifyOptions = {},
): Promise<Digests> {
  let toldBytes = 0;
  const tell = (doneBytes: number): void => {
    onHashed?.(doneBytes - toldBytes);
    toldBytes = doneBytes;
  };
  try {
    for (let next = STEP_BYTES; next < lengthBytes; next += STEP_BYTES) {
      if (signal?.aborted === true) throw new HaulError('ABORTED', `hash ${path}: it was stopped`);
      await step(thread, id, path, next, pieceLengthBytes);
      tell(next);
    }
    const digests = await thread.digest(id, path, lengthBytes, pieceLengthBytes);
    tell(lengthBytes);
    return digests;
  } finally {
    thread.endHash(id);
  }
}

function step(
  thread: DiskThread,
  id: number,
  path: string,
  untilBytes: number,
  pieceLengthBytes: number | null,
): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.beginHash(id, { path, onDone: () => resolve(), onFailure: reject });
    thread.hash(id, path, untilBytes, pieceLengthBytes);
  });
}
