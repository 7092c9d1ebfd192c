/**
 * How much of the page cache was waiting for the device at most: dirty pages and those being written, of the whole
 * machine.
 */
import { readFileSync } from 'node:fs';

const LOOK_MS = 50;

function dirtyMiB(): number {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
  return (kib('Dirty') + kib('Writeback')) / 1024;
}

/** Call the result when the time is over. */
export function watchDirty(): () => number {
  const before = dirtyMiB();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, dirtyMiB());
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    return Math.max(most, dirtyMiB()) - before;
  };
}
