/**
 * How a peer takes what it asked for: briskly, slowly or not at all. Known from what the kernel took, once a second;
 * and at once when a peer takes a lot. A new peer is not brisk until it has shown it.
 */

/** Taken within a second: that peer reads. */
const BRISK_BYTES = 1024 * 1024;
/** Enough to show it when nothing was left over. */
const EMPTIED_BYTES = 64 * 1024;
/** Less in a second is nothing. */
const IDLE_BYTES = 16 * 1024;

export class Uptake {
  isBrisk = false;
  /** Seconds in a row in which something waited for it, and it took little; or next to nothing. */
  slowSeconds = 0;
  idleSeconds = 0;
  /** Taken in the last whole second. */
  lastSecondBytes = 0;
  /** Taken ever when this second began. */
  #beganBytes = 0;

  /** @param takenBytes what the kernel has taken for this peer, ever. */
  took(takenBytes: number): void {
    if (!this.isBrisk && takenBytes - this.#beganBytes >= BRISK_BYTES) this.isBrisk = true;
  }

  /** Once a second. @param hasUnsent something of ours waits for the kernel. */
  secondPassed(takenBytes: number, hasUnsent: boolean): void {
    const bytes = takenBytes - this.#beganBytes;
    this.#beganBytes = takenBytes;
    this.lastSecondBytes = bytes;
    this.idleSeconds = hasUnsent && bytes < IDLE_BYTES ? this.idleSeconds + 1 : 0;
    if (hasUnsent && bytes < BRISK_BYTES) {
      this.isBrisk = false;
      this.slowSeconds++;
      return;
    }
    this.slowSeconds = 0;
    if (bytes >= EMPTIED_BYTES) this.isBrisk = true;
  }
}
