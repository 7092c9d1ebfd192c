/** Whether there is room for one more upload by peers: the space of those that are under way is theirs. */
import { stat } from 'node:fs/promises';
import { HaulError } from '../../errors.js';
import { DEPOT_LIMITS } from '../limits.js';
import type { BlobStore } from '../store/port.js';

/** The unit of `blocks` in stat(2), whatever the file system. */
const STAT_BLOCK_BYTES = 512;

/**
 * @param underway files that are being written, and how long they become: space may be reserved for a part of that
 * @throws HaulError NO_SPACE
 */
export async function checkSpace(
  store: Pick<BlobStore, 'space'>,
  underway: readonly { readonly path: string; readonly lengthBytes: number }[],
  lengthBytes: number,
): Promise<void> {
  const space = await store.space();
  if (space === null) return;
  const promised = await Promise.all(
    underway.map(async ({ path, lengthBytes: wholeBytes }) => {
      const status = await stat(path).catch(() => null);
      return Math.max(0, wholeBytes - (status?.blocks ?? 0) * STAT_BLOCK_BYTES);
    }),
  );
  const leftBytes = promised.reduce((left, bytes) => left - bytes, space.freeBytes - lengthBytes);
  if (leftBytes < DEPOT_LIMITS.freeBytes)
    throw new HaulError('NO_SPACE', `no space left for ${lengthBytes} bytes that would come from peers`);
}
