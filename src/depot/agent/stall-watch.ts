/** When a fetch of which nothing, or next to nothing, comes is given up. Pure. */
import { AGENT_LIMITS } from './limits.js';

export class StallWatch {
  /** When something came last, whatever it was, */
  #movedMs: number;
  #movedBytes = 0;
  /** and since when too little does. */
  #stepMs: number;
  #stepBytes = 0;

  constructor(nowMs: number) {
    this.#movedMs = nowMs;
    this.#stepMs = nowMs;
  }

  /** True: it is to be given up. @param isWorking it is busy with what is here, not with what comes */
  look(nowMs: number, bytes: number, isAway: boolean, isWorking: boolean): boolean {
    if (bytes !== this.#movedBytes || !isAway || isWorking) this.#movedMs = nowMs;
    this.#movedBytes = bytes;
    if (bytes - this.#stepBytes >= AGENT_LIMITS.stuckBytes || isWorking) {
      this.#stepMs = nowMs;
      this.#stepBytes = bytes;
    }
    return nowMs - this.#movedMs >= AGENT_LIMITS.stallMs || nowMs - this.#stepMs >= AGENT_LIMITS.stuckMs;
  }
}
