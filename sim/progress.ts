/** Where a long run is: one changing line on a terminal, otherwise a line now and then. The clock is an argument. */

const TERMINAL_MS = 200;
const LINE_MS = 10_000;
const CLEAR = '\r\x1b[2K';

export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export class Progress {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  #saidMs: number;
  #isShown = false;

  /** @param now milliseconds of real time. */
  constructor(output: ProgressOutput, now: () => number) {
    this.#output = output;
    this.#now = now;
    this.#saidMs = now();
  }

  say(line: string): void {
    const nowMs = this.#now();
    const isTerminal = this.#output.isTTY === true;
    if (nowMs - this.#saidMs < (isTerminal ? TERMINAL_MS : LINE_MS)) return;
    this.#saidMs = nowMs;
    this.#isShown = isTerminal;
    this.#output.write(isTerminal ? `${CLEAR}${line.slice(0, (this.#output.columns ?? 80) - 1)}` : `${line}\n`);
  }

  /** Takes the changing line away. */
  clear(): void {
    if (this.#isShown) this.#output.write(CLEAR);
    this.#isShown = false;
  }
}
