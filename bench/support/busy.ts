/** How busy all cores of this machine were between two looks. */
import os from 'node:os';

export interface MachineTimes {
  readonly idle: number;
  readonly all: number;
}

export function machineTimes(): MachineTimes {
  const times = os.cpus().flatMap(({ times }) => Object.entries(times));
  const sum = (entries: typeof times) => entries.reduce((total, [, ms]) => total + ms, 0);
  return { idle: sum(times.filter(([name]) => name === 'idle')), all: sum(times) };
}

/** Part of all cores that was not idle: with everything else that ran. */
export function busyBetween(before: MachineTimes, after: MachineTimes): number {
  return 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
}
