/**
 * Trouble of the disk or of the machine that may pass: for a while no piece is opened and nothing is read for peers,
 * then all goes on. The first time is a hiccup; from the second in a row on the torrent counts as paused, and says so.
 * Knows no clock but the one it is given.
 *
 *   calm ─add→ holding ─after 1, 2, 4 … 60 s→ trying ─10 s without trouble, all repeated→ calm
 *                 ^                              │
 *                 └─────────────add──────────────┘
 */
import type { HaulError } from '../errors.js';

export const FIRST_PAUSE_MS = 1000;
export const LONGEST_PAUSE_MS = 60_000;
/** Trying that long without new trouble is success: longer than a device needs to say that it failed, mostly. */
export const QUIET_MS = 10_000;
/** From this many failures in a row on it is a pause. */
const PAUSE_FROM = 2;

/**
 * What may heal by itself, or by somebody's hand while we wait. Not a full disk: it is rarely freed in time, and
 * whoever runs us should know.
 */
const PASSING: ReadonlySet<string> = new Set([
  'EIO',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOBUFS',
  'EAGAIN',
  'EBUSY',
  'EINTR',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'ESTALE',
]);

export function mayPass(error: HaulError): boolean {
  if (error.code === 'POOL') return error.facts.atStart !== true;
  return PASSING.has(String(error.facts.errno));
}

const SHORT_OF_FILES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);

/** No file can be opened at the moment: nothing is wrong with any of them. */
export function isShortOfFiles(error: HaulError): boolean {
  return SHORT_OF_FILES.has(String(error.facts.errno));
}

/** The machine or the process has no more of what it needs at the moment, be it open files or memory. */
export function isShortage(error: HaulError): boolean {
  return isShortOfFiles(error) || error.facts.errno === 'ENOMEM';
}

export class DiskTrouble {
  /** Told once for each pause. */
  onPause: ((error: HaulError) => void) | null = null;
  readonly #now: () => number;
  /** By what failed; done again when the pause is over. */
  #waiting = new Map<number, () => void>();
  /** Begun again, and not yet known to be good. */
  readonly #repeated = new Set<number>();
  #error: HaulError | null = null;
  #failures = 0;
  #isHolding = false;
  #untilMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Nothing is to be opened or read now. */
  get isHolding(): boolean {
    return this.#isHolding;
  }

  get isCalm(): boolean {
    return this.#error === null;
  }

  /** Why the torrent stands still and when it tries again, in one line; null when it does not, or only for a hiccup. */
  get pausedText(): string | null {
    if (this.#error === null || this.#failures < PAUSE_FROM) return null;
    const leftMs = this.#isHolding ? Math.max(0, this.#untilMs - this.#now()) : 0;
    const when = leftMs === 0 ? 'now' : `in ${Math.ceil(leftMs / 1000)} s`;
    return `${this.#error.message}; it is tried again ${when}`;
  }

  /** @param piece whose work is to be done `again` after the pause; without it, whoever asked asks again */
  add(error: HaulError, piece = -1, again: () => void = () => {}): void {
    this.#repeated.delete(piece);
    if (piece >= 0) this.#waiting.set(piece, again);
    this.#error = error;
    // What fails together is one failure.
    if (this.#isHolding) return;
    this.#isHolding = true;
    this.#failures++;
    this.#untilMs = this.#now() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1));
    if (this.#failures === PAUSE_FROM) this.onPause?.(error);
  }

  /** The work of this piece is done. */
  good(piece: number): void {
    this.#repeated.delete(piece);
  }

  /** Every second or so. True: the pause has just ended, what was held may go on. */
  tick(): boolean {
    if (this.#error === null) return false;
    const leftMs = this.#untilMs - this.#now();
    if (!this.#isHolding) {
      if (leftMs < -QUIET_MS && this.#repeated.size === 0) this.#calm();
      return false;
    }
    if (leftMs > 0) return false;
    this.#isHolding = false;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const piece of waiting.keys()) this.#repeated.add(piece);
    for (const again of waiting.values()) again();
    return true;
  }

  #calm(): void {
    this.#error = null;
    this.#failures = 0;
  }
}
