/** The memory this process may use: a container gets less than the machine has. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

/** Reads a small file of the kernel; null when it is not there. */
export type ReadText = (path: string) => string | null;

const V2_ROOT = '/sys/fs/cgroup';
const V1_ROOT = '/sys/fs/cgroup/memory';

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** Bytes: the least of the machine's memory and the limits of all cgroups (v2 or v1) that this process is in. */
export function memoryLimitBytes(machineBytes: number = totalmem(), read: ReadText = readText): number {
  let least = machineBytes;
  for (const path of limitFiles(read('/proc/self/cgroup') ?? '')) {
    // 'max', or a number near 2^63 for none.
    const bytes = Number.parseInt(read(path) ?? '', 10);
    if (bytes > 0) least = Math.min(least, bytes);
  }
  return least;
}

/** The limit of each group from our own up to the root: inside a container the root is the container's. */
function limitFiles(groups: string): string[] {
  const files: string[] = [];
  for (const line of groups.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    const isV1 = controllers!.split(',').includes('memory');
    if (!isV1 && controllers !== '') continue;
    const [root, name] = isV1 ? [V1_ROOT, 'memory.limit_in_bytes'] : [V2_ROOT, 'memory.max'];
    const parts = path.split('/').filter((part) => part !== '');
    for (let depth = parts.length; depth >= 0; depth--) files.push([root, ...parts.slice(0, depth), name].join('/'));
  }
  return files;
}
