/**
 * The SIGBUS guard (`native/guard.c`): memory whose file was cut off becomes zeros that are counted, instead of the end
 * of the process. What such a window holds proves nothing from then on: whoever uses one asks before it believes
 * anything.
 */

import { nativeLibrary } from './library.js';
import { view } from './mmap-io.js';

/** What `add` answers when a window is not guarded. */
export const UNGUARDED = -1;

export interface SigbusGuard {
  /**
   * One element: faults in all windows of the process so far. It changes before the zeros are there, and costs no call
   * to look at.
   */
  readonly total: Uint32Array;
  /** Guards mapped memory, whole pages. Returns its number, or UNGUARDED. */
  add(address: number, lengthBytes: number): number;
  /** Before it is unmapped, when no thread touches it any more. */
  remove(window: number): void;
  /** Faults in this window since it was added. */
  faults(window: number): number;
  /** Where in the window the first of them was. */
  firstFault(window: number): number;
}

let guard: SigbusGuard | null | undefined;

function install(): SigbusGuard | null {
  const library = nativeLibrary();
  if (library === null || library.guardInstall() !== 0) return null;
  return {
    total: new Uint32Array(view(library.guardTotal(), Uint32Array.BYTES_PER_ELEMENT)),
    add: library.guardAdd,
    remove: library.guardRemove,
    faults: library.guardFaults,
    firstFault: library.guardFirst,
  };
}

/** The guard of this process, put in place by the first call; null where there is no native library. */
export function sigbusGuard(): SigbusGuard | null {
  if (guard === undefined) guard = install();
  return guard;
}
