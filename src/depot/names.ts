/**
 * Names of artifacts. A full name has its space first ("artifacts/ci/42/image.raw"), so that the catalogue knows one
 * kind of name. Segments are checked as names of a torrent are: what may be stored may also be in one.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';
import { showName, whyUnsafe } from '../metainfo/paths.js';
import { DEPOT_LIMITS } from './limits.js';

/** `artifacts`: paths of people. `cas`: a blob by its SHA-256. `ac`: whatever a build tool keeps under 64 digits. */
export type Space = 'artifacts' | 'cas' | 'ac';

const HEX64 = /^[0-9a-f]{64}$/;

/**
 * The full name of what a user calls `path`.
 * @throws HaulError BAD_ARGUMENT, saying what is wrong with it
 */
export function fullName(space: Space, path: string): string {
  const why = space === 'artifacts' ? whyBadPath(path) : HEX64.test(path) ? null : 'is not 64 hexadecimal digits';
  if (why !== null) throw new HaulError('BAD_ARGUMENT', `the name ${showName(path)} ${why}`, { option: 'name' });
  return `${space}/${path}`;
}

/** The name as its user knows it. */
export function shortName(full: string): string {
  return full.slice(full.indexOf('/') + 1);
}

export function spaceOf(full: string): Space {
  return full.slice(0, full.indexOf('/')) as Space;
}

/** The last segment: what a torrent, or a download, is called. */
export function fileNameOf(full: string): string {
  return full.slice(full.lastIndexOf('/') + 1);
}

function whyBadPath(path: string): string | null {
  if (/\p{Surrogate}/u.test(path)) return 'is not Unicode text';
  if (Buffer.byteLength(path) > DEPOT_LIMITS.nameBytes) return `is longer than ${DEPOT_LIMITS.nameBytes} bytes`;
  const segments = path.split('/');
  if (segments.length > DEPOT_LIMITS.nameParts) return `has more than ${DEPOT_LIMITS.nameParts} parts`;
  for (const segment of segments) {
    const why = whyUnsafe(segment);
    if (why !== null) return segments.length === 1 ? why : `has a part that ${why}`;
    if (Buffer.byteLength(segment) > LIMITS.pathNameBytes) return `has a part of over ${LIMITS.pathNameBytes} bytes`;
  }
  return null;
}
