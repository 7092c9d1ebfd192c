/** A `haul … --json` process as the demo and the bench see it: lines in, an end with a result. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export type JsonLine = Readonly<Record<string, unknown>> & { readonly type: string };

/** The last words of a child that are kept for an error message. */
const STDERR_CHARACTERS = 4000;

export class Child {
  readonly #process: ChildProcess;
  readonly #command: string;
  readonly #lines: JsonLine[] = [];
  readonly #closed: Promise<void>;
  readonly #waiting = new Set<() => void>();
  #stderr = '';
  #hasEnded = false;

  /** @param onLine called with every JSON line, also progress */
  constructor(main: string, args: readonly string[], onLine: (line: JsonLine) => void) {
    this.#command = `haul ${args[0]}`;
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as JsonLine;
      onLine(line);
      if (line.type === 'progress') return;
      this.#lines.push(line);
      this.#wake();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS);
    });
    this.#closed = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#stderr += error.message;
      });
      child.once('close', () => {
        this.#hasEnded = true;
        this.#wake();
        resolve();
      });
    });
  }

  #wake(): void {
    for (const check of this.#waiting) check();
  }

  /** The first line, other than progress, that is wanted; rejects when the process ends without it. */
  line(isWanted: (line: JsonLine) => boolean): Promise<JsonLine> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = this.#lines.find(isWanted);
        if (found === undefined && !this.#hasEnded) return;
        this.#waiting.delete(check);
        if (found !== undefined) resolve(found);
        else reject(this.#failure());
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Asks it to stop and returns its last line of that type. */
  async end(type: string): Promise<JsonLine> {
    this.#process.kill('SIGINT');
    await this.#closed;
    const last = this.#lines.findLast((line) => line.type === type);
    if (last === undefined) throw this.#failure();
    return last;
  }

  /** Ends it at once, if it still runs. */
  async kill(): Promise<void> {
    if (!this.#hasEnded) this.#process.kill('SIGKILL');
    await this.#closed;
  }

  #failure(): Error {
    const { exitCode, signalCode } = this.#process;
    return new Error(`${this.#command} ended with ${exitCode ?? signalCode}: ${this.#stderr.trim()}`);
  }
}
