/**
 * A file as slices. What is given out was read before the file was found unchanged, so it is what was committed: a file
 * that is cut, written or replaced meanwhile ends the reading.
 */
import { HaulError } from '../../errors.js';
import { pageBuffer } from '../../native/page-buffer.js';
import { type FileStamp, isUnchanged } from '../../work/file-stamp.js';
import { DEPOT_LIMITS } from '../limits.js';
import { type Nearness, type OpenFile, readNow, stampOfOpen } from './near.js';
import type { ByteRange } from './port.js';

export const SLICE_BYTES: number = 1024 * 1024;

/** Kept for the next reader: new memory costs a fault for each page. */
const SPARE_MAX = 16;
const spares: Buffer[] = [];
const SHORT_SLICE_BYTES = 64 * 1024;
/** The first slice, so that somebody has the first byte while the next one is read. */
const FIRST_SLICE_BYTES = 128 * 1024;
let buffersInUse = 0;

export interface Opened {
  readonly handle: OpenFile;
  readonly stamp: FileStamp;
  readonly nearness: Nearness;
}

export function changed(sha256: string): HaulError {
  return new HaulError('BAD_DATA', `the blob ${sha256} was changed on disk`, { sha256 });
}

/** Closes the file at its end. Each slice is valid until the next is asked for: that is read meanwhile. */
export async function* readSlices(
  { handle, stamp, nearness }: Opened,
  { begin, end }: ByteRange,
  sha256: string,
): AsyncGenerator<Uint8Array> {
  const isShort = buffersInUse >= DEPOT_LIMITS.readerBuffers || end - begin <= SHORT_SLICE_BYTES;
  const sliceBytes = isShort ? SHORT_SLICE_BYTES : SLICE_BYTES;
  const buffers = isShort ? [pageBuffer(sliceBytes), pageBuffer(sliceBytes)] : [takeBuffer(), takeBuffer()];
  let count = 0;
  const slice = async (at: number): Promise<Uint8Array> => {
    const isFirst = count === 0;
    const size = isFirst ? Math.min(sliceBytes, FIRST_SLICE_BYTES) : sliceBytes;
    const target = buffers[count++ % 2]!.subarray(0, Math.min(size, end - at));
    // Somebody waits for the first; of the others one is read while the one before is sent.
    for (let done = isFirst ? readNow(handle.fd, target, at, nearness) : 0; done < target.length; ) {
      const { bytesRead } = await handle.read(target, done, target.length - done, at + done);
      if (bytesRead === 0) throw changed(sha256);
      done += bytesRead;
    }
    if (!isUnchanged(await stampOfOpen(handle.fd, nearness), stamp)) throw changed(sha256);
    return target;
  };
  let next: Promise<Uint8Array> | null = begin < end ? slice(begin) : null;
  try {
    for (let at = begin; next !== null; ) {
      const ready: Uint8Array = await next;
      at += ready.length;
      next = at < end ? slice(at) : null;
      // Whoever stops reading hears nothing of it.
      next?.catch(() => {});
      yield ready;
    }
  } finally {
    await next?.catch(() => {});
    await handle.close();
    if (!isShort) for (const buffer of buffers) giveBack(buffer);
  }
}

/** Fills all of `target` from there on. The file stays open. */
export async function readInto(
  { handle, stamp, nearness }: Opened,
  begin: number,
  target: Uint8Array,
  sha256: string,
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle.read(target, done, target.length - done, begin + done);
    if (bytesRead === 0) throw changed(sha256);
    done += bytesRead;
  }
  if (!isUnchanged(await stampOfOpen(handle.fd, nearness), stamp)) throw changed(sha256);
}

function takeBuffer(): Buffer {
  buffersInUse++;
  return spares.pop() ?? pageBuffer(SLICE_BYTES);
}

function giveBack(buffer: Buffer): void {
  buffersInUse--;
  if (spares.length < SPARE_MAX) spares.push(buffer);
}
