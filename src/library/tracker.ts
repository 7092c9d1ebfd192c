/** The tracker as a library: `startTracker` with its options checked, loaded when it is first used. */
import { HaulError } from '../errors.js';
import type { TrackerOptions, TrackerServer } from '../tracker/server.js';
import {
  bytes,
  callable,
  checkOptions,
  checkValue,
  flag,
  listOf,
  port,
  type Rules,
  signal,
  wholeNumber,
  words,
} from './check-options.js';

/** The port that trackers have used since the first ones. */
export const TRACKER_PORT = 6969;

/** What stands before /announce in the path. */
export const PASSKEY: RegExp = /^[A-Za-z0-9._-]{1,64}$/;

/** How a tracker behaves, wherever it listens. */
export type TrackerSettings = Pick<
  TrackerOptions,
  'intervalSeconds' | 'expirySeconds' | 'entriesPerAddress' | 'stateFile'
>;

/** Options of `startTracker`. */
export interface StartTrackerOptions
  extends TrackerSettings,
    Pick<TrackerOptions, 'host' | 'registeredOnly' | 'udp' | 'passkeys' | 'log'> {
  /** TCP and UDP port, 0 for any free one; default 6969. */
  readonly port?: number;
  /** Closes the tracker; before it listens, it rejects with ABORTED. */
  readonly signal?: AbortSignal;
}

const passkey = (value: unknown): string | null =>
  typeof value === 'string' && PASSKEY.test(value) ? null : 'must be a key';

/** Also those of `share`. */
export const TRACKER_SETTING_RULES: Rules<TrackerSettings> = {
  intervalSeconds: wholeNumber(1, 86_400),
  expirySeconds: wholeNumber(1, 2 * 86_400),
  entriesPerAddress: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  stateFile: words,
};

const RULES: Rules<StartTrackerOptions> = {
  ...TRACKER_SETTING_RULES,
  host: words,
  port,
  registeredOnly: flag,
  udp: flag,
  passkeys: listOf(passkey, 'keys of 1 to 64 letters, digits, dots, dashes and underscores'),
  log: callable,
  signal,
};

/**
 * Starts a tracker over HTTP and UDP (BEP 3, 7, 15, 23, 24, 41, 48): for any torrent, or with `registeredOnly` for
 * those it was told of.
 * @throws HaulError BAD_ARGUMENT, PORT_IN_USE, NO_PERMISSION (ports below 1024), IO (no such local address), ABORTED
 */
export async function startTracker(options: StartTrackerOptions = {}): Promise<TrackerServer> {
  checkOptions('startTracker', options, RULES);
  return openTracker(options);
}

/** `startTracker` with options that were checked. */
export async function openTracker(options: StartTrackerOptions): Promise<TrackerServer> {
  const { signal: stop, ...given } = options;
  const server = await import('../tracker/server.js');
  const tracker = await server.startTracker({ port: TRACKER_PORT, ...given });
  if (stop?.aborted === true) {
    await tracker.close();
    throw new HaulError('ABORTED', 'start a tracker: it was stopped');
  }
  const onAbort = (): void => void tracker.close();
  stop?.addEventListener('abort', onAbort, { once: true });
  return {
    ...tracker,
    register: (infoHash, seed) => {
      checkValue('register', 'infoHash', infoHash, bytes);
      if (infoHash.length !== 20)
        throw new HaulError('BAD_ARGUMENT', `register: infoHash must have 20 bytes, not ${infoHash.length}`, {
          option: 'infoHash',
        });
      tracker.register(infoHash, seed);
    },
    close: () => {
      stop?.removeEventListener('abort', onAbort);
      return tracker.close();
    },
  };
}
