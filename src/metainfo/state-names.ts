/**
 * Names of the files that we keep beside the data, in the output folder. A torrent of such a name would have its bytes
 * read as our own record of another torrent, so no torrent may have one.
 */

/**
 * `resume`: the record of verified pieces; `parts`: bytes of skipped files; `lock`: who downloads there; `gone`: a file
 * on its way out; `torrent`: what a magnet's peers said that the torrent is; `moving`: a
 * folder for data on its way in.
 */
export type StateKind = 'resume' | 'parts' | 'lock' | 'gone' | 'torrent' | 'moving';

const KEY_DIGITS = 16;
/** `.tmp`: a record before it is renamed. Case is ignored, as some file systems do. */
const STATE_NAME = /^\.[0-9a-f]{16}\.haul-(?:resume|parts|lock|gone|torrent|moving)(?:\.tmp)?$/i;

/** @param keyHex at least 16 hexadecimal digits, of which the first 16 count */
export function stateName(keyHex: string, kind: StateKind): string {
  return `.${keyHex.slice(0, KEY_DIGITS)}.haul-${kind}`;
}

export function isStateName(name: string): boolean {
  return STATE_NAME.test(name);
}
