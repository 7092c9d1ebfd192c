/** What the demos share: their data, the folder that they remove, the way they end. */
import { randomFillSync } from 'node:crypto';
import { mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatBytes } from '../src/cli/format.js';
import { ValueError } from '../src/cli/values.js';
import type { Child } from './child.js';

export const MAIN: string = fileURLToPath(new URL('../src/cli/haul.cjs', import.meta.url));
/** Space that must stay free beside the copies: shared memory is memory. */
const SPARE_BYTES = 256 * 2 ** 20;

/** Memory when there is room, so that the figures are the program's and not the disk's. */
async function chooseRoot(neededBytes: number): Promise<string> {
  const candidates = ['/dev/shm', tmpdir()];
  for (const folder of candidates) {
    const space = await statfs(folder).catch(() => null);
    if (space !== null && space.bavail * space.bsize >= neededBytes + SPARE_BYTES) return folder;
  }
  throw new Error(
    `no room: ${formatBytes(neededBytes + SPARE_BYTES)} are needed in ${candidates.join(' or ')}; try --size`,
  );
}

export async function writeRandom(path: string, lengthBytes: number): Promise<void> {
  const file = await open(path, 'w');
  const buffer = Buffer.alloc(Math.min(Math.max(lengthBytes, 1), 8 * 2 ** 20));
  try {
    for (let left = lengthBytes; left > 0; ) {
      randomFillSync(buffer);
      const { bytesWritten } = await file.write(buffer, 0, Math.min(left, buffer.length));
      left -= bytesWritten;
    }
  } finally {
    await file.close();
  }
}

export interface DemoMeans {
  /** Killed at the end, if they still run. */
  readonly children: Child[];
  /** A temporary folder with so much room. */
  makeRoot(neededBytes: number): Promise<string>;
}

/**
 * Runs a demo, and cleans up however it ends: processes, folder. An error is one line.
 * @param work whether all was as it should be
 * @returns the exit code: 0, 1, 2 for words that cannot be read, 130 after Ctrl-C
 */
export async function runDemo(work: (means: DemoMeans) => Promise<boolean>): Promise<number> {
  const children: Child[] = [];
  let root = '';
  let isInterrupted = false;
  const clean = async (): Promise<void> => {
    await Promise.all(children.map((child) => child.kill()));
    if (root !== '') await rm(root, { recursive: true, force: true });
  };
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      isInterrupted = true;
      void clean().finally(() => process.exit(code));
    });
  }
  const makeRoot = async (neededBytes: number): Promise<string> => {
    root = await mkdtemp(join(await chooseRoot(neededBytes), 'haul-demo-'));
    return root;
  };
  try {
    return (await work({ children, makeRoot })) ? 0 : 1;
  } catch (error) {
    // Its children were stopped by the same Ctrl-C: their failing is no news.
    if (isInterrupted) return 130;
    console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
    const code = (error as { code?: unknown }).code;
    const isUsage = error instanceof ValueError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS'));
    return isUsage ? 2 : 1;
  } finally {
    await clean();
  }
}
