/** Waits until a file is on the device, for programs that do not, and says what that took. */
import { closeSync, fsyncSync, openSync } from 'node:fs';

export interface SyncCost {
  readonly seconds: number;
  /** Of this process, nearly all in the kernel: who syncs finds the places on the device and sends the pages there. */
  readonly cpuSeconds: number;
}

/** Blocks this thread, so that nothing else is counted. */
export function syncFile(file: string): SyncCost {
  const descriptor = openSync(file, 'r');
  try {
    const before = process.cpuUsage();
    const beginMs = performance.now();
    fsyncSync(descriptor);
    const seconds = (performance.now() - beginMs) / 1000;
    const { user, system } = process.cpuUsage(before);
    return { seconds, cpuSeconds: (user + system) / 1e6 };
  } finally {
    closeSync(descriptor);
  }
}
