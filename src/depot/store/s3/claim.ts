/**
 * Whose a prefix is, and what was left in it. One that another depot has is refused: each would sweep what only the
 * other's catalogue names. Uploads of this depot that were not ended are swept at its start, those of others when they
 * are so old that nobody goes on with them.
 */
import { randomBytes } from 'node:crypto';
import { HaulError } from '../../../errors.js';
import { BLOBS, CATALOGUE, MARK } from './layout.js';
import { S3_LIMITS } from './limits.js';
import type { Objects } from './objects.js';
import { refusedAtStart } from './trouble.js';
import type { UploadJournal } from './upload-journal.js';

const FORMAT = 1;
const ID = /^[0-9a-f]{32}$/;
/** Owner of a prefix whose depots share a catalogue. */
export const SHARED = 'shared';

export interface ClaimOptions {
  /** Names the catalogue: whoever shares it may share the prefix. */
  readonly owner: string;
  readonly isReadOnly: boolean;
  /** The prefix is this depot's from now on, whoever had it. */
  readonly takesOver: boolean;
}

interface Mark {
  /** Of the store, for ever. */
  readonly id: string;
  readonly owner: string;
}

/**
 * @returns the id of the store
 * @throws HaulError BAD_ARGUMENT, NO_PERMISSION, NETWORK; IN_USE: another depot has it; NOT_FOUND: only to be read
 */
export async function claimPrefix(objects: Objects, options: ClaimOptions): Promise<string> {
  const { owner, isReadOnly, takesOver } = options;
  let id = randomBytes(16).toString('hex');
  try {
    const found = await objects.ask(MARK);
    if (found !== null) {
      const said = parseMark(found.toString('utf8'), objects.title);
      if (isReadOnly || (said.owner === owner && !takesOver)) return said.id;
      if (!takesOver) throw inUse(objects.title, said.owner);
      id = said.id;
    } else if (isReadOnly) {
      throw new HaulError('NOT_FOUND', `there is no depot in ${objects.title}`, { where: objects.title });
    }
    const mark = Buffer.from(`${JSON.stringify({ format: FORMAT, id, owner })}\n`);
    if (found !== null) await objects.remove(CATALOGUE);
    if (await objects.put(MARK, mark, found === null)) return id;
  } catch (error) {
    throw refusedAtStart(error, objects.title);
  }
  // Another one was quicker.
  return claimPrefix(objects, options);
}

/**
 * The prefix is of this catalogue from now on, which depots share. An object of its own says so: of several that make
 * it at once one does.
 * @throws HaulError as `claimPrefix`; IN_USE: it is of another
 */
export async function bindPrefix(objects: Objects, catalogue: string): Promise<void> {
  try {
    for (;;) {
      const said = (await objects.ask(CATALOGUE))?.toString('utf8').trim();
      if (said === catalogue) return;
      if (said !== undefined) throw inUse(objects.title, SHARED);
      await objects.put(CATALOGUE, Buffer.from(`${catalogue}\n`), true);
    }
  } catch (error) {
    throw refusedAtStart(error, objects.title);
  }
}

function parseMark(text: string, title: string): Mark {
  let format: unknown = null;
  let id: unknown = null;
  let owner: unknown = null;
  try {
    ({ format, id, owner } = JSON.parse(text));
  } catch {}
  if (format === FORMAT && typeof owner === 'string' && typeof id === 'string' && ID.test(id)) return { id, owner };
  const why = typeof format === 'number' ? `of a newer version (format ${format})` : 'not of a depot';
  throw new HaulError('BAD_ARGUMENT', `${title}/${MARK} is ${why}; choose another prefix`, { option: 'store' });
}

function inUse(title: string, owner: string): HaulError {
  const shown = /^[\w-]{1,64}$/.test(owner) ? owner : 'unknown';
  const message =
    `${title} belongs to the depot ${shown}, which has another catalogue; ` +
    'choose another prefix, or take it over with: haul depot rebuild --store';
  return new HaulError('IN_USE', message, { option: 'store', owner: shown });
}

/** @param nowMs milliseconds since 1970 */
export async function sweepUploads(objects: Objects, journal: UploadJournal, nowMs: number): Promise<void> {
  for (const multipart of await journal.left())
    if (await objects.abortMultipart(multipart)) await journal.ended(multipart);
  for await (const multipart of objects.multiparts(BLOBS))
    if (nowMs - multipart.begunMs > S3_LIMITS.abandonedMs) await objects.abortMultipart(multipart);
}
