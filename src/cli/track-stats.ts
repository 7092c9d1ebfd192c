/** What `haul track` says of itself: once a minute where something has changed, and at the end. */
import type { TrackerCounts } from '../tracker/service.js';
import { count, formatBytes } from './format.js';
import type { Output } from './output.js';
import { delayOrAborted } from './wait.js';

export const STATS_FIELDS = 'swarms peers announces scrapes failures memoryBytes bytesPerPeer';

export interface TrackerStats extends TrackerCounts {
  /** Of the process. */
  readonly memoryBytes: number;
  /** What the tables of peers take, spare room for more included; null: there is no peer. */
  readonly bytesPerPeer: number | null;
}

const STATS_EVERY_MS = 60_000;

/** Peers are in typed arrays: those are what the process has more of than at its start. */
export class TrackerMemory {
  readonly #atStartBytes = process.memoryUsage().arrayBuffers;

  with(counts: TrackerCounts): TrackerStats {
    const { rss, arrayBuffers } = process.memoryUsage();
    const bytes = Math.max(0, arrayBuffers - this.#atStartBytes);
    const bytesPerPeer = counts.peers === 0 ? null : Math.round(bytes / counts.peers);
    return { ...counts, memoryBytes: rss, bytesPerPeer };
  }
}

/** Until the signal fires. */
export async function tellStats(output: Output, stats: () => TrackerStats, signal: AbortSignal): Promise<void> {
  let told = 0;
  for (;;) {
    await delayOrAborted(STATS_EVERY_MS, signal);
    if (signal.aborted) return;
    const now = stats();
    const heard = now.announces + now.scrapes + now.failures;
    if (heard === told) continue;
    told = heard;
    output.event('stats', { ...now }, statsText(now));
  }
}

/** One line; empty: nobody has announced. */
export function statsText({ swarms, peers, announces, memoryBytes, bytesPerPeer }: TrackerStats): string {
  if (announces === 0) return '';
  const each = bytesPerPeer === null ? '' : `, ${bytesPerPeer} bytes each`;
  const known = `${count(swarms, 'torrent')}, ${count(peers, 'peer')}${each}`;
  return `${known}; ${count(announces, 'announce')}; ${formatBytes(memoryBytes)} of memory`;
}
