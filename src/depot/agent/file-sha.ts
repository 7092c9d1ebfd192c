/** SHA-256 of a file that is all there, off the main thread; or of its begin, to go on with. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { FileSha256 } from '../../content/file-sha256.js';

/** @throws HaulError trouble in reading */
export async function fileSha256(path: string, lengthBytes: number): Promise<string> {
  const hash = new FileSha256(path);
  try {
    return (await hash.digest(lengthBytes)).digest;
  } finally {
    hash.close();
  }
}

/** On the main thread: no other one gives its state away. @throws what the file system says */
export async function hashBegin(path: string, lengthBytes: number): Promise<Hash> {
  const hash = createHash('sha256');
  if (lengthBytes === 0) return hash;
  const stream = createReadStream(path, { end: lengthBytes - 1, highWaterMark: 256 * 1024 });
  for await (const chunk of stream as AsyncIterable<Buffer>) hash.update(chunk);
  return hash;
}
