/**
 * Standard input as a file to publish: kept first, so that it is hashed before it is sent and can be sent again. The
 * file has no name any more when it is written, so nothing stays of it however this ends.
 */

import { randomBytes } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { fullName } from '../depot/names.js';
import { fromSystemError, HaulError } from '../errors.js';
import type { FileToPublish } from './publish-files.js';

export interface KeptInput extends FileToPublish {
  close(): Promise<void>;
}

interface InputOptions {
  readonly name: string;
  readonly archive?: boolean;
  readonly single?: boolean;
  readonly p2p?: boolean;
}

/** @throws HaulError BAD_ARGUMENT */
export function checkInput(paths: readonly string[], { name, archive, single, p2p }: InputOptions): void {
  const option = archive ? '--archive' : single ? '--single' : p2p ? '--p2p' : null;
  const why =
    paths.length > 1
      ? 'it is the only thing to publish'
      : name.endsWith('/')
        ? '--name is the whole name, without a slash at its end'
        : option === null
          ? null
          : `it is sent as it is, without ${option}`;
  if (why !== null) throw new HaulError('BAD_ARGUMENT', `- is standard input: ${why}`, { option: 'paths' });
  fullName('artifacts', name);
}

/** All of it, to its end. @throws HaulError NO_SPACE and others of the file system; ABORTED */
export async function keepInput(name: string, input: Readable, signal: AbortSignal): Promise<KeptInput> {
  const folder = tmpdir();
  const path = join(folder, `haul-publish-${randomBytes(8).toString('hex')}`);
  const file = await open(path, 'wx+', 0o600).catch((error: unknown) => {
    throw fromSystemError(error, 'keep standard input in', folder);
  });
  try {
    await unlink(path);
    addAbortSignal(signal, input);
    for await (const chunk of input) await file.appendFile(chunk as Buffer);
    const { size, mtimeMs } = await file.stat();
    const close = (): Promise<void> => file.close();
    return { path: `/proc/self/fd/${file.fd}`, name, lengthBytes: size, mode: 0o644, mtimeMs, close };
  } catch (error) {
    await file.close();
    if (signal.aborted) throw new HaulError('ABORTED', 'interrupted');
    throw fromSystemError(error, 'keep standard input in', folder);
  }
}
