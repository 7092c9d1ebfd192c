/** What `agents-child.ts` is told, and what it says. */
import { fileURLToPath } from 'node:url';

export const AGENTS = fileURLToPath(new URL('agents-child.js', import.meta.url));

export interface AgentsTask {
  readonly depot: string;
  /** A folder for each. */
  readonly caches: readonly string[];
  /** Of each, both ways. */
  readonly bytesPerSec: number;
}

export interface AgentsReady {
  readonly urls: readonly string[];
}
