/** The bytes of one artifact that is published: read twice, once for the digest and once to be sent. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fromSystemError, HaulError } from '../errors.js';
import type { FileToPublish } from './publish-files.js';
import { tarEnd, tarHead, tarTail } from './tar.js';

const READ_BYTES = 1024 * 1024;

export interface Body {
  readonly name: string;
  /** Of what is read of the disk; of one that is compressed, more than is sent. */
  readonly lengthBytes: number;
  /** Each chunk is valid until the next is asked for. @throws HaulError also where a file has another length now */
  readonly read: () => AsyncGenerator<Uint8Array>;
}

/** @param onGrown takes one that is longer now as it was found; without it that is an error */
async function* readFile({ path, lengthBytes }: FileToPublish, onGrown?: () => void): AsyncGenerator<Uint8Array> {
  const changed = (): HaulError => new HaulError('BAD_DATA', `${path} was changed while it was read`, { path });
  try {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, Math.max(1, lengthBytes)));
      for (let at = 0; at < lengthBytes; ) {
        const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, lengthBytes - at), at);
        if (bytesRead === 0) throw changed();
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
      if ((await file.read(Buffer.alloc(1), 0, 1, lengthBytes)).bytesRead === 0) return;
      if (onGrown === undefined) throw changed();
      onGrown();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fromSystemError(error, 'read', path);
  }
}

export function fileBody(file: FileToPublish): Body {
  return { name: file.name, lengthBytes: file.lengthBytes, read: () => readFile(file) };
}

/** The same bytes each time. */
async function* gzipped(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Uint8Array> {
  const { createGzip } = await import('node:zlib');
  const gzip = createGzip({ level });
  const ready: Uint8Array[] = [];
  gzip.on('data', (chunk: Buffer) => ready.push(chunk));
  const failed = new Promise<never>((_, reject) => gzip.once('error', reject));
  failed.catch(() => {});
  try {
    for await (const chunk of source) {
      // A chunk is ours until the next is asked for: it has to be compressed by then.
      await Promise.race([failed, new Promise<void>((resolve) => gzip.write(chunk, () => resolve()))]);
      yield* ready.splice(0);
    }
    const ended = new Promise<void>((resolve) => gzip.once('end', resolve));
    gzip.end();
    await Promise.race([failed, ended]);
    yield* ready.splice(0);
  } finally {
    gzip.destroy();
  }
}

/**
 * All files in one tar. What is only written on at its end, as logs are, is in it as long as it was found.
 * @param level 1 to 9: compressed with gzip; 0: as it is
 * @param onGrown told of such a file, once
 */
export function archiveBody(
  name: string,
  files: readonly FileToPublish[],
  level: number,
  onGrown: (path: string) => void = () => {},
): Body {
  const lengthOf = (file: FileToPublish): number => tarHead(file).length + file.lengthBytes + tarTail(file).length;
  const lengthBytes = files.reduce((sum, file) => sum + lengthOf(file), tarEnd().length);
  const grown = new Set<string>();
  const grows = (path: string): void => {
    if (!grown.has(path)) onGrown(path);
    grown.add(path);
  };
  async function* read(): AsyncGenerator<Uint8Array> {
    for (const file of files) {
      yield tarHead(file);
      yield* readFile(file, () => grows(file.path));
      yield tarTail(file);
    }
    yield tarEnd();
  }
  return { name, lengthBytes, read: level === 0 ? read : () => gzipped(read(), level) };
}

export interface BodyDigest {
  readonly sha256: string;
  /** Of what is sent. */
  readonly lengthBytes: number;
}

/** @param onBytes so many more were hashed */
export async function digestOf(body: Body, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<BodyDigest> {
  const hash = createHash('sha256');
  let lengthBytes = 0;
  for await (const chunk of body.read()) {
    if (signal.aborted) throw new HaulError('ABORTED', 'interrupted');
    hash.update(chunk);
    lengthBytes += chunk.length;
    onBytes(chunk.length);
  }
  return { sha256: hash.digest('hex'), lengthBytes };
}
