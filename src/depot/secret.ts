/** What the passkeys in announce URLs are made with. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fromSystemError, HaulError } from '../errors.js';
import type { Catalogue } from './catalogue/port.js';
import { readOwnFile } from './read-own.js';
import { replaceFile } from './replace-file.js';

const SECRET_BYTES = 32;

/** Of all depots of a catalogue the same, or each would refuse what the others gave out. @throws HaulError */
export async function secretOf(data: string, catalogue: Catalogue): Promise<Uint8Array> {
  const own = await depotSecret(data);
  return catalogue.secret === undefined ? own : await catalogue.secret(own);
}

/** Of this depot: kept, so that announce URLs hold over a restart. @throws HaulError */
async function depotSecret(data: string): Promise<Buffer> {
  const path = join(data, 'secret');
  try {
    const known = await readSecret(path);
    if (known !== null) return known;
    const made = randomBytes(SECRET_BYTES);
    // Half of one would keep the depot from ever starting again.
    await replaceFile(path, made, 0o600);
    return made;
  } catch (error) {
    throw fromSystemError(error, 'keep the secret of passkeys in', path);
  }
}

async function readSecret(path: string): Promise<Buffer | null> {
  try {
    const secret = await readOwnFile(path);
    if (secret.length === SECRET_BYTES) return secret;
    throw new HaulError('BAD_DATA', `${path} is damaged: remove it, and torrents that are out need a new announce URL`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
