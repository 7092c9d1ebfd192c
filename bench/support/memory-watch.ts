/**
 * What a process holds in memory at most, by kind (Linux, /proc/PID/status): anonymous (heaps, stacks, buffers),
 * file-backed (its code, and files that it maps on a disk) and shared (what it maps of a tmpfs). Looked at 50 times a
 * second; each kind has its own greatest moment.
 */
import { readFileSync } from 'node:fs';

const LOOK_MS = 20;

export interface MemoryPeaks {
  readonly anonBytes: number;
  readonly fileBytes: number;
  readonly sharedBytes: number;
  /** VmHWM when it was looked at last: all kinds at one moment, counted by the kernel. */
  readonly residentBytes: number;
}

const KEYS = { anonBytes: 'RssAnon', fileBytes: 'RssFile', sharedBytes: 'RssShmem', residentBytes: 'VmHWM' } as const;

/** Null when the process is gone: a zombie has no such lines. */
export function memoryOf(pid: number): MemoryPeaks | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const bytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
    const found = Object.entries(KEYS).map(([name, key]) => [name, bytes(key)] as const);
    return found.some(([, value]) => Number.isNaN(value))
      ? null
      : (Object.fromEntries(found) as unknown as MemoryPeaks);
  } catch {
    return null;
  }
}

/** Call the result when the time is over, also when the process is. */
export function watchMemory(pid: number): () => MemoryPeaks {
  let peaks: MemoryPeaks = { anonBytes: 0, fileBytes: 0, sharedBytes: 0, residentBytes: 0 };
  const look = (): void => {
    const now = memoryOf(pid);
    if (now === null) return;
    peaks = {
      anonBytes: Math.max(peaks.anonBytes, now.anonBytes),
      fileBytes: Math.max(peaks.fileBytes, now.fileBytes),
      sharedBytes: Math.max(peaks.sharedBytes, now.sharedBytes),
      residentBytes: now.residentBytes,
    };
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  return () => {
    clearInterval(timer);
    look();
    return peaks;
  };
}
