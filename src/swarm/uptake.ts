/**
 * How a peer takes what it asked for: briskly, slowly or not at all. Known from what the kernel took, once a second;
 * and at once when a peer takes a lot. A new peer is not brisk until it has shown it.
 */
import { LIMITS } from '../config.js';

/** Taken within a second: that peer reads. */
const BRISK_BYTES = 1024 * 1024;
/** Enough to show it when nothing was left over. */
const EMPTIED_BYTES = 64 * 1024;
/** Less in a second is nothing. */
const IDLE_BYTES = 16 * 1024;
/** Of what it takes in a second this much may be on its way to it: some 30 ms. */
const SEND_SHARE = 1 / 32;

export class Uptake {
  isBrisk = false;
  /** Seconds in a row in which something waited for it, and it took little; or next to nothing. */
  slowSeconds = 0;
  idleSeconds = 0;
  /** Taken in the last whole second. */
  lastSecondBytes = 0;
  /** What may be given to the kernel and not yet taken by it, for this peer. */
  sendBytes: number = LIMITS.slowSendBytesPerPeer;
  /** Taken ever when this second began. */
  #beganBytes = 0;

  /** @param takenBytes what the kernel has taken for this peer, ever. */
  took(takenBytes: number): void {
    const bytes = takenBytes - this.#beganBytes;
    if (!this.isBrisk && bytes < BRISK_BYTES) return;
    this.isBrisk = true;
    this.sendBytes = Math.max(this.sendBytes, sendBytesAt(bytes));
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
      this.sendBytes = LIMITS.slowSendBytesPerPeer;
      return;
    }
    this.slowSeconds = 0;
    if (bytes >= EMPTIED_BYTES) this.isBrisk = true;
    if (this.isBrisk) this.sendBytes = sendBytesAt(bytes);
  }
}

/** Of a brisk peer that takes so much in a second. */
function sendBytesAt(bytesPerSec: number): number {
  const bytes = Math.floor(bytesPerSec * SEND_SHARE);
  return Math.min(LIMITS.swiftSendBytesPerPeer, Math.max(LIMITS.sendBytesPerPeer, bytes));
}
