/** What this process has used so far, for result lines: the bench and the demo read it. */

/** CPU seconds of all threads, and the largest resident memory in bytes. */
export function resourceFields(): { cpuUserSec: number; cpuSystemSec: number; peakMemoryBytes: number } {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return { cpuUserSec: userCPUTime / 1e6, cpuSystemSec: systemCPUTime / 1e6, peakMemoryBytes: maxRSS * 1024 };
}
