/**
 * Fewer optimisations of fewer functions: a download lasts seconds, and V8's compiler threads take the cores from SHA-1
 * and the sockets. A quarter of the zeal (interrupt budget, default 67,584) and half the inlining (default 920): 2 GiB
 * on 2 cores, 3 turns, 640 -> 717 MB/s, leech 1.99 -> 1.80 and seed 0.81 -> 0.72 CPU-s per GB. It is for processes that
 * do nothing else, so the command does it and the library does not.
 */

/** The V8 of Node 20. Later ones have a middle compiler, and another flag for this. */
const V8_MAJOR = 11;
/**
 * V8 doubles its new space whenever as much has lived on as it is long: in time to 32 MiB, of which blocks on their way
 * need a few. It grows to so much, and then no more.
 */
const NEW_SPACE_BYTES = 8 * 2 ** 20;
const LOOK_MS = 1000;
/** A worker loads in less. */
const AFTER_FIRST_PEER_MS = 500;

let watch: NodeJS.Timeout | null = null;

/**
 * Not before the modules and the first worker are there: Node's own modules are compiled code that is good with the
 * flags of its start only. With others each is parsed anew: 45 ms for a worker, 20 ms for the modules of the engine.
 */
export async function tune(): Promise<void> {
  if (Number.parseInt(process.versions.v8, 10) !== V8_MAJOR) return;
  const v8 = await import('node:v8');
  v8.setFlagsFromString('--interrupt-budget=270000');
  v8.setFlagsFromString('--max-inlined-bytecode-size-cumulative=400');
  if (watch !== null) return;
  watch = setInterval(boundNewSpace, LOOK_MS, v8).unref();
  boundNewSpace(v8);
}

/** Again and again: given once, or at the start, it has no effect. V8 seems to set it when a thread begins. */
function boundNewSpace(v8: typeof import('node:v8')): void {
  const bytes = v8.getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0;
  if (bytes >= NEW_SPACE_BYTES) v8.setFlagsFromString('--semi-space-growth-factor=1');
}

/** A seed begins its worker when a peer comes. */
export function tuneSoon(): void {
  setTimeout(() => void tune(), AFTER_FIRST_PEER_MS).unref();
}

/** V8 sets it back whenever a thread begins. */
const SLIM_LOOK_MS = 20;

/**
 * Does the work of a start without letting the new space grow: a service that rests for days should not keep what its
 * first seconds took. A depot with 10,000 artifacts is 23 MiB smaller then, and starts as fast.
 */
export async function slim<T>(start: () => Promise<T>): Promise<T> {
  if (Number.parseInt(process.versions.v8, 10) !== V8_MAJOR) return start();
  const v8 = await import('node:v8');
  const hold = (): void => v8.setFlagsFromString('--semi-space-growth-factor=1');
  hold();
  const timer = setInterval(hold, SLIM_LOOK_MS);
  try {
    return await start();
  } finally {
    clearInterval(timer);
    v8.setFlagsFromString('--semi-space-growth-factor=2');
  }
}
