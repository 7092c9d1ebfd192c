/** Bytes of a cached file in slices: one is read while the one before is sent. */
import { type FileHandle, open } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../../errors.js';
import { stampOf } from '../../storage/stamp-files.js';
import type { FileStamp } from '../../work/file-stamp.js';
import { READ_FLAGS } from '../store/known-blobs.js';
import type { ByteRange } from '../store/port.js';
import { isUntouched } from './blob-record.js';
import { AGENT_LIMITS } from './limits.js';

/** A file that was verified, as it was then. */
export interface WholeFile {
  readonly handle: FileHandle;
  readonly stamp: FileStamp;
}

/**
 * Each slice is valid until the next is asked for. The last one comes when the file is still the one that was verified:
 * whoever has written into it since ends the answer before its end.
 * @throws HaulError BAD_DATA, IO
 */
export async function* readLocal({ handle, stamp }: WholeFile, { begin, end }: ByteRange): AsyncGenerator<Uint8Array> {
  const size = Math.min(AGENT_LIMITS.readBytes, Math.max(1, end - begin));
  const buffers = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)] as const;
  const read = async (at: number, which: number): Promise<Buffer> => {
    const most = at === begin ? Math.min(size, AGENT_LIMITS.firstReadBytes) : size;
    const buffer = buffers[which]!.subarray(0, Math.min(most, end - at));
    for (let held = 0; held < buffer.length; ) {
      const { bytesRead } = await handle.read(buffer, held, buffer.length - held, at + held).catch(unread);
      if (bytesRead === 0) throw changed();
      held += bytesRead;
    }
    return buffer;
  };
  let next = begin < end ? read(begin, 0) : null;
  try {
    for (let at = begin, which = 0; next !== null; which = 1 - which) {
      const slice: Buffer = await next;
      at += slice.length;
      next = at < end ? read(at, 1 - which) : null;
      if (next === null && !isUntouched(stampOf(await handle.stat({ bigint: true })), stamp)) throw changed();
      yield slice;
    }
  } finally {
    // The file is closed by whoever has opened it: not while it is being read.
    await next?.catch(() => {});
  }
}

function unread(error: unknown): never {
  throw fromSystemError(error, 'read', 'a cached file');
}

/** What has left of it is right: it is as it was when it was verified. Never rejects. */
export async function isStill({ handle, stamp }: WholeFile): Promise<boolean> {
  const now = await handle.stat({ bigint: true }).catch(() => null);
  return now !== null && isUntouched(stampOf(now), stamp);
}

function changed(): HaulError {
  return new HaulError('BAD_DATA', 'a cached file was changed while it was read');
}

/** So many bytes and no more, in as few steps as may be: each one waits for a thread. */
export async function readAtMost(path: string, bytes: number): Promise<Buffer> {
  const handle = await open(path, READ_FLAGS);
  try {
    // A byte more, so that a longer file shows.
    const buffer = Buffer.allocUnsafe(bytes + 1);
    let held = 0;
    while (held < bytes || held === 0) {
      const { bytesRead } = await handle.read(buffer, held, buffer.length - held, held);
      if (bytesRead === 0) break;
      held += bytesRead;
    }
    return buffer.subarray(0, held);
  } finally {
    void handle.close().catch(() => {});
  }
}

export async function* readAndClose(
  slices: AsyncIterable<Uint8Array>,
  close: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* slices;
  } finally {
    await close();
  }
}
