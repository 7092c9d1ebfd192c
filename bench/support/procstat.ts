/**
 * What a process has used so far, from /proc (Linux): CPU, peak memory, faults, context switches; of the whole process
 * and of its main thread. Two samples are subtracted with `usedBetween`. Threads that ended still count in the CPU and
 * the faults of the process, but their context switches are gone.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

export interface ThreadUse {
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
}

export interface ProcessSample {
  /** `performance.now()` of the reader. */
  readonly atMs: number;
  readonly process: ThreadUse;
  readonly mainThread: ThreadUse;
  readonly threads: number;
  readonly residentBytes: number;
  /** VmHWM: since the start of the process, or since `resetPeak`. */
  readonly peakResidentBytes: number;
}

let ticksPerSecond = 0;

/** CLK_TCK is 100 nearly everywhere; asked once. */
function clockTicks(): number {
  if (ticksPerSecond === 0) ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return ticksPerSecond;
}

/** Fields of proc(5) stat after the command name, which may hold spaces and brackets: [0] is field 3, the state. */
function statFields(file: string): string[] {
  const text = readFileSync(file, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function statusNumber(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(status)?.[1] ?? 0);
}

function times(fields: readonly string[]): Omit<ThreadUse, 'voluntarySwitches' | 'involuntarySwitches'> {
  const field = (number: number) => Number(fields[number - 3]);
  return {
    userSeconds: field(14) / clockTicks(),
    systemSeconds: field(15) / clockTicks(),
    minorFaults: field(10),
    majorFaults: field(12),
  };
}

function switches(status: string): Pick<ThreadUse, 'voluntarySwitches' | 'involuntarySwitches'> {
  return {
    voluntarySwitches: statusNumber(status, 'voluntary_ctxt_switches'),
    involuntarySwitches: statusNumber(status, 'nonvoluntary_ctxt_switches'),
  };
}

/** Status of a thread, '' when it ended meanwhile. */
function threadStatus(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
  } catch {
    return '';
  }
}

/** @throws the system error of reading /proc when the process is gone or this is not Linux. */
export function sampleProcess(pid: number): ProcessSample {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const threads = readdirSync(`/proc/${pid}/task`);
  let voluntarySwitches = 0;
  let involuntarySwitches = 0;
  for (const thread of threads) {
    const own = switches(threadStatus(pid, thread));
    voluntarySwitches += own.voluntarySwitches;
    involuntarySwitches += own.involuntarySwitches;
  }
  return {
    atMs: performance.now(),
    process: { ...times(statFields(`/proc/${pid}/stat`)), voluntarySwitches, involuntarySwitches },
    mainThread: { ...times(statFields(`/proc/${pid}/task/${pid}/stat`)), ...switches(threadStatus(pid, String(pid))) },
    threads: threads.length,
    residentBytes: statusNumber(status, 'VmRSS') * 1024,
    peakResidentBytes: statusNumber(status, 'VmHWM') * 1024,
  };
}

export function subtract(later: ThreadUse, earlier: ThreadUse): ThreadUse {
  return {
    userSeconds: later.userSeconds - earlier.userSeconds,
    systemSeconds: later.systemSeconds - earlier.systemSeconds,
    minorFaults: later.minorFaults - earlier.minorFaults,
    majorFaults: later.majorFaults - earlier.majorFaults,
    voluntarySwitches: later.voluntarySwitches - earlier.voluntarySwitches,
    involuntarySwitches: later.involuntarySwitches - earlier.involuntarySwitches,
  };
}

export interface ProcessUse {
  readonly elapsedMs: number;
  readonly process: ThreadUse;
  readonly mainThread: ThreadUse;
  readonly peakResidentBytes: number;
}

/** What was used between two samples of one process. */
export function usedBetween(earlier: ProcessSample, later: ProcessSample): ProcessUse {
  return {
    elapsedMs: later.atMs - earlier.atMs,
    process: subtract(later.process, earlier.process),
    mainThread: subtract(later.mainThread, earlier.mainThread),
    peakResidentBytes: later.peakResidentBytes,
  };
}

/** CPU seconds, user and system. */
export function cpuSeconds(use: ThreadUse): number {
  return use.userSeconds + use.systemSeconds;
}

/** Makes VmHWM start again from what is resident now (proc(5) clear_refs, value 5). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
