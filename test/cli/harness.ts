/** Runs the compiled command as a person would: another process, its words and its exit code. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../src/cli/haul.cjs', import.meta.url));

export type Line = Record<string, unknown> & { type: string };

export interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output read as JSON lines; only when --json was given. */
  readonly lines: readonly Line[];
}

/** A command that is running. */
export class Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  readonly lines: Line[] = [];
  #stdout = '';
  #stderr = '';
  readonly #waiting = new Set<() => void>();

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    const isJson = args.includes('--json');
    const child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.child = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#stdout += `${line}\n`;
      if (isJson) this.lines.push(JSON.parse(line) as Line);
      for (const check of this.#waiting) check();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.finished = new Promise((resolve) => {
      child.once('close', (exitCode) => {
        resolve({ exitCode, stdout: this.#stdout, stderr: this.#stderr, lines: this.lines });
        for (const check of this.#waiting) check();
      });
    });
  }

  /** The first line that satisfies `isWanted`; rejects when the command ends without it. */
  async line(isWanted: (line: Line) => boolean): Promise<Line> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = this.lines.find(isWanted);
        const hasEnded = this.child.exitCode !== null || this.child.signalCode !== null;
        if (found === undefined && !hasEnded) return;
        this.#waiting.delete(check);
        if (found !== undefined) resolve(found);
        else
          reject(new Error(`ended with ${this.child.exitCode} before the line came: ${this.#stdout}${this.#stderr}`));
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Waits for text on standard output; rejects when the command ends without it. */
  async text(wanted: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const hasEnded = this.child.exitCode !== null || this.child.signalCode !== null;
        if (!wanted.test(this.#stdout) && !hasEnded) return;
        this.#waiting.delete(check);
        if (wanted.test(this.#stdout)) resolve();
        else reject(new Error(`ended with ${this.child.exitCode} before ${wanted}: ${this.#stdout}${this.#stderr}`));
      };
      this.#waiting.add(check);
      check();
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<Finished> {
    this.child.kill(signal);
    return this.finished;
  }
}

/** Starts a command and makes sure that it is gone when the test ends. */
export function start(context: TestContext, ...args: string[]): Running {
  const running = new Running(args);
  context.after(async () => {
    running.child.kill('SIGKILL');
    await running.finished;
  });
  return running;
}

export function haul(...args: string[]): Promise<Finished> {
  return new Running(args).finished;
}

export function haulWith(env: Record<string, string>, ...args: string[]): Promise<Finished> {
  return new Running(args, env).finished;
}

export async function makeFolder(context: { after(fn: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'haul-cli-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
