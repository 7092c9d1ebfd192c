/**
 * Lower bounds for a capped swarm, from the caps alone. Fluid: pieces as small as you like, no latency, no headers,
 * everybody reaches everybody. Times in seconds from the start of the first leech.
 */
export interface CappedSwarm {
  readonly imageBytes: number;
  readonly seedUpBytesPerSec: number;
  readonly leechUpBytesPerSec: number;
  readonly leechDownBytesPerSec: number;
  /** When each leech starts, ascending. */
  readonly startsSec: readonly number[];
}

/** One copy out of the seed: before that no leech can be complete. */
function firstCopySec(swarm: CappedSwarm): number {
  return swarm.imageBytes / swarm.seedUpBytesPerSec;
}

/** One copy into a leech. */
function oneCopySec(swarm: CappedSwarm): number {
  return swarm.imageBytes / swarm.leechDownBytesPerSec;
}

/** All copies, as fast as all started uplinks and downlinks together allow. */
function allCopiesSec(swarm: CappedSwarm): number {
  let leftBytes = swarm.imageBytes * swarm.startsSec.length;
  for (const [index, start] of swarm.startsSec.entries()) {
    const started = index + 1;
    const up = swarm.seedUpBytesPerSec + started * swarm.leechUpBytesPerSec;
    const rate = Math.min(up, started * swarm.leechDownBytesPerSec);
    const next = swarm.startsSec[started] ?? Number.POSITIVE_INFINITY;
    if (start + leftBytes / rate <= next) return start + leftBytes / rate;
    leftBytes -= rate * (next - start);
  }
  throw new RangeError('a swarm has leeches');
}

/**
 * Nobody can have the last copy complete before this. With all leeches starting together it is
 * max(S ÷ seed's uplink, S ÷ leech's downlink, n S ÷ all uplinks).
 */
export function idealLastSec(swarm: CappedSwarm): number {
  const lastStartSec = swarm.startsSec.at(-1)!;
  return Math.max(firstCopySec(swarm), lastStartSec + oneCopySec(swarm), allCopiesSec(swarm));
}

/**
 * What the time of one leech, from its own start, is compared with. Leeches that start together are a fair swarm's:
 * each is compared with the bound of the last one. Of leeches that start one by one each has the bound of its own link
 * and of the first copy.
 */
export function idealLeechSec(swarm: CappedSwarm, leech: number): number {
  if (swarm.startsSec.at(-1) === 0) return idealLastSec(swarm);
  return Math.max(oneCopySec(swarm), firstCopySec(swarm) - swarm.startsSec[leech]!);
}

/** Nearest rank: of 20 values p99 is the largest. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}
