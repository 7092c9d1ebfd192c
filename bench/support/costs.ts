/** What both sides of a transfer cost: CPU of the whole process, and memory by its kind. Pure. */
import type { MemoryPeaks } from './memory-watch.js';
import { cpuSeconds, type ThreadUse } from './procstat.js';

const MIB = 2 ** 20;

export interface SideCost {
  readonly use: ThreadUse;
  readonly memory: MemoryPeaks;
}

/** Of one side, named by its role: leechCpuSecPerGb, seedAnonMiB … */
function sideFigures(role: 'leech' | 'seed', { use, memory }: SideCost, gigabytes: number): Record<string, number> {
  return {
    [`${role}CpuSecPerGb`]: cpuSeconds(use) / gigabytes,
    [`${role}UserSecPerGb`]: use.userSeconds / gigabytes,
    [`${role}KernelSecPerGb`]: use.systemSeconds / gigabytes,
    [`${role}SwitchesPerGb`]: (use.voluntarySwitches + use.involuntarySwitches) / gigabytes,
    [`${role}AnonMiB`]: memory.anonBytes / MIB,
    [`${role}FileMiB`]: memory.fileBytes / MIB,
    [`${role}SharedMiB`]: memory.sharedBytes / MIB,
    [`${role}PeakMiB`]: memory.residentBytes / MIB,
  };
}

/** Both sides, with their sum first. */
export function costFigures(leech: SideCost, seed: SideCost, lengthBytes: number): Record<string, number> {
  const gigabytes = lengthBytes / 1e9;
  return {
    cpuSecPerGb: (cpuSeconds(leech.use) + cpuSeconds(seed.use)) / gigabytes,
    ...sideFigures('leech', leech, gigabytes),
    ...sideFigures('seed', seed, gigabytes),
  };
}
