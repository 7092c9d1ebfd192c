/**
 * What children of this process have used that have ended: getrusage(2) of RUSAGE_CHILDREN (Linux). The only place
 * where the CPU of a program that ends by itself is known to the last microsecond: its folder in /proc is gone with it.
 */
import koffi from 'koffi';
import { subtract, type ThreadUse } from './procstat.js';

const RUSAGE_CHILDREN = -1;
/** Two `timeval` and 14 `long`, all of 8 bytes. */
const RUSAGE_BYTES = 144;
/** Places of the `long`s: 0 is ru_utime.tv_sec. */
const [MINFLT, MAJFLT, NVCSW, NIVCSW] = [8, 9, 16, 17];

type GetRusage = (who: number, usage: Buffer) => number;
let getrusage: GetRusage | null = null;

function endedChildren(): ThreadUse {
  getrusage ??= koffi.load(null).func('int getrusage(int who, void *usage)') as unknown as GetRusage;
  const usage = Buffer.alloc(RUSAGE_BYTES);
  if (getrusage(RUSAGE_CHILDREN, usage) !== 0) throw new Error('getrusage failed');
  const long = (place: number): number => Number(usage.readBigInt64LE(place * 8));
  return {
    userSeconds: long(0) + long(1) / 1e6,
    systemSeconds: long(2) + long(3) / 1e6,
    minorFaults: long(MINFLT),
    majorFaults: long(MAJFLT),
    voluntarySwitches: long(NVCSW),
    involuntarySwitches: long(NIVCSW),
  };
}

/** Call the result when the one child that counts has ended, and no other did meanwhile. */
export function watchEndedChildren(): () => ThreadUse {
  const before = endedChildren();
  return () => subtract(endedChildren(), before);
}
