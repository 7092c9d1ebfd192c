/** The time of day when it was last believed, kept over a restart in a file of the depot's folder. */
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { readOwnText } from '../read-own.js';
import { replaceFile } from '../replace-file.js';
import type { Clocks } from './clock-guard.js';

const NAME = 'clock';
/** Written no more often than that; an hour's absence is nothing. */
const WRITE_MS = 10 * 60_000;

export class ClockFile {
  /** As an earlier run left it; null: there was none, or what is there is no time. */
  readonly lastWallMs: number | null;
  readonly #path: string;
  #writtenMs = -Infinity;

  private constructor(file: string, lastWallMs: number | null) {
    this.#path = file;
    this.lastWallMs = lastWallMs;
  }

  static async open(folder: string): Promise<ClockFile> {
    const file = path.join(folder, NAME);
    const text = await readOwnText(file).catch(() => '');
    return new ClockFile(file, /^\d{1,15}\n$/.test(text) ? Number(text) : null);
  }

  /** Never rejects: where it cannot be written the next start has nothing to compare with, as the first had. */
  async keep(wallMs: number): Promise<void> {
    if (Math.abs(wallMs - this.#writtenMs) < WRITE_MS) return;
    this.#writtenMs = wallMs;
    try {
      await replaceFile(this.#path, `${Math.max(0, Math.floor(wallMs))}\n`);
    } catch {}
  }
}

export function systemClocks(): Clocks {
  return { wallMs: Date.now(), elapsedMs: performance.now() };
}
