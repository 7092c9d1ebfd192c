/** SHA-256 of a file that is all there, off the main thread. */
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
