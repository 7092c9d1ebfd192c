/**
 * What a torrent moved, second by second, by the clock of the process that moved it: no pipe and no other process is in
 * between. `sampleTraffic` runs inside a peer; `windowFigures` judges the samples afterwards.
 */

export interface TrafficSample {
  /** `performance.now()` of the sampling process. */
  readonly atMs: number;
  /** Bytes of blocks: no headers, nothing twice. */
  readonly downloadedBytes: number;
  readonly uploadedBytes: number;
  /** User and kernel time of the process with all its threads. */
  readonly cpuSec: number;
}

type Moved = Pick<TrafficSample, 'downloadedBytes' | 'uploadedBytes'>;

/** The first byte is looked for this often. */
const FIRST_MS = 4;
const SAMPLE_MS = 1000;

function sample({ downloadedBytes, uploadedBytes }: Moved): TrafficSample {
  const { user, system } = process.cpuUsage();
  return { atMs: performance.now(), downloadedBytes, uploadedBytes, cpuSec: (user + system) / 1e6 };
}

/**
 * One sample when the first byte has moved and one each second, until `seconds` whole seconds lie behind the first of
 * them.
 */
export function sampleTraffic(
  moved: () => Moved,
  seconds: number,
  done: (samples: readonly TrafficSample[]) => void,
): void {
  const samples: TrafficSample[] = [];
  const each = (timer: NodeJS.Timeout): void => {
    samples.push(sample(moved()));
    if (samples.length < seconds + 2) return;
    clearInterval(timer);
    done(samples);
  };
  const first = setInterval(() => {
    const { downloadedBytes, uploadedBytes } = moved();
    if (downloadedBytes + uploadedBytes === 0) return;
    clearInterval(first);
    const timer = setInterval(() => each(timer), SAMPLE_MS);
    each(timer);
  }, FIRST_MS);
}

export interface WindowFigures {
  readonly seconds: number;
  readonly bytes: number;
  /** Moved since the very beginning. */
  readonly endBytes: number;
  readonly mbPerSec: number;
  readonly cpuSecPerGb: number;
  /** Of the one second that moved the least and the most. */
  readonly slowestMbPerSec: number;
  readonly fastestMbPerSec: number;
}

/**
 * Of everything after the first second: a connection starts slowly whatever the limit is.
 * @throws without a second second
 */
export function windowFigures(samples: readonly TrafficSample[], direction: keyof Moved): WindowFigures {
  const [start, ...rest] = samples.slice(1);
  const end = rest.at(-1);
  if (start === undefined || end === undefined) throw new Error('too few samples for a window');
  const bytes = end[direction] - start[direction];
  const seconds = (end.atMs - start.atMs) / 1000;
  const rates = rest.map((each, i) => {
    const before = rest[i - 1] ?? start;
    return (each[direction] - before[direction]) / 1000 / (each.atMs - before.atMs);
  });
  return {
    seconds,
    bytes,
    endBytes: end[direction],
    mbPerSec: bytes / 1e6 / seconds,
    cpuSecPerGb: (end.cpuSec - start.cpuSec) / (bytes / 1e9),
    slowestMbPerSec: Math.min(...rates),
    fastestMbPerSec: Math.max(...rates),
  };
}
