/**
 * What the limit of open files (`ulimit -n`) leaves for the tables that hold descriptors. Node has raised the soft
 * limit to the hard one.
 */
import { readFileSync } from 'node:fs';

/** Node itself, modules while they load, the listener, trackers, and whatever is opened for a moment. */
const BASE_FILES = 40;
const FILES_PER_THREAD = 4;
const CONNECTION_SHARE = 0.6;
const CONNECTIONS_AT_LEAST = 4;

const FILE_SHARE = 0.2;
const FILES_AT_LEAST = 4;

export interface OpenFiles {
  readonly connections: number;
  readonly threads: number;
  /** Files of one torrent. */
  readonly files: number;
}

/**
 * @param limit files the process may have open; Infinity when that is not known. `wanted`: what there would be without
 * a limit.
 */
export function shareOpenFiles(limit: number, wanted: OpenFiles): OpenFiles {
  // Threads first, within a quarter: without one nothing works at all.
  const forThreads = Math.floor(Math.max(0, limit - BASE_FILES) / 4 / FILES_PER_THREAD);
  const threads = Math.max(1, Math.min(wanted.threads, forThreads));
  const spare = Math.max(0, limit - BASE_FILES - threads * FILES_PER_THREAD);
  const connections = Math.max(
    CONNECTIONS_AT_LEAST,
    Math.min(wanted.connections, Math.floor(spare * CONNECTION_SHARE)),
  );
  const files = Math.max(FILES_AT_LEAST, Math.min(wanted.files, Math.floor(spare * FILE_SHARE)));
  return { threads, connections, files };
}

export function openFilesLimit(): number {
  try {
    const found = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return found === null ? Number.POSITIVE_INFINITY : Number(found[1]);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
