/** The latest time that the scheduler was told: calls about pieces carry none. It never steps back. */
export class Clock {
  nowMs = 0;

  tell(nowMs: number): void {
    if (nowMs > this.nowMs) this.nowMs = nowMs;
  }
}
