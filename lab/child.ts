/**
 * Child processes of tests. A child never outlives its test: it is ended by pid when the scope closes (SIGTERM, then
 * SIGKILL), and where `setpriv` exists the kernel kills it should the test process itself be killed.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Scope } from './scope.js';
import { withDeadline } from './wait.js';

const GRACE_MS = 5_000;
const KEPT_LINES = 400;
const TAIL_LINES = 40;
const SETPRIV = '/usr/bin/setpriv';

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Network namespace to run in (Linux, root). */
  readonly namespace?: { readonly name: string } | undefined;
  /** Time between SIGTERM and SIGKILL. */
  readonly graceMs?: number;
}

export interface ChildExit {
  readonly code: number | null;
  /** "exited with 0" or "ended by SIGTERM". */
  readonly text: string;
}

interface Waiter {
  readonly accept: (line: string) => boolean;
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

function fullCommand(command: string, args: readonly string[], options: ChildOptions): string[] {
  const words = [command, ...args];
  if (options.namespace !== undefined) words.unshift('ip', 'netns', 'exec', options.namespace.name);
  // Both wrappers replace themselves by exec, so the pid stays that of the program.
  if (process.platform === 'linux' && existsSync(SETPRIV)) words.unshift(SETPRIV, '--pdeathsig', 'KILL');
  return words;
}

export class Child {
  readonly command: string;
  /** Never rejects, except when the program could not be started. */
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #output: string[] = [];
  readonly #all: string[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #graceMs: number;
  #isGone = false;

  constructor(command: string, args: readonly string[], options: ChildOptions) {
    this.command = command;
    this.#graceMs = options.graceMs ?? GRACE_MS;
    const words = fullCommand(command, args, options);
    const env: NodeJS.ProcessEnv = { ...process.env, ...options.env };
    delete env.NODE_TEST_CONTEXT; // With it a child node would report to our test runner.
    this.#process = spawn(words[0]!, words.slice(1), { stdio: 'pipe', env, cwd: options.cwd });
    createInterface({ input: this.#process.stderr }).on('line', (line) => remember(this.#all, line));
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#onLine(line));
    this.#process.stdin.on('error', () => {}); // It ended before it read: `exited` tells.
    this.exited = new Promise((resolve, reject) => {
      this.#process.once('error', (error) => {
        this.#isGone = true;
        reject(new Error(`${command}: ${error.message}`));
      });
      this.#process.once('close', (code, signal) => resolve(this.#onClose(code, signal)));
    });
    this.exited.catch(() => {}); // Callers may only look at `line`.
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** The last lines of both outputs, for messages. */
  tail(): string {
    return this.#all.slice(-TAIL_LINES).join('\n');
  }

  /** True when standard output has had such a line. */
  has(accept: (line: string) => boolean): boolean {
    return this.#output.some(accept);
  }

  /**
   * The first line of standard output, past or future, that `accept` takes. Rejects when the child ends without one.
   */
  async line(what: string, timeoutMs: number, accept: (line: string) => boolean): Promise<string> {
    const past = this.#output.find(accept);
    if (past !== undefined) return past;
    if (this.#isGone) throw new Error(`${this.command} has ended, without: ${what}\n${this.tail()}`);
    let waiter: Waiter | undefined;
    const found = new Promise<string>((resolve, reject) => {
      waiter = { accept, resolve, reject };
      this.#waiters.add(waiter);
    });
    try {
      return await withDeadline(found, `${this.command}: ${what}`, timeoutMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.tail()}`);
    } finally {
      this.#waiters.delete(waiter!);
    }
  }

  /** Writes a line to its standard input. */
  send(line: string): void {
    this.#process.stdin.write(`${line}\n`);
  }

  /** SIGTERM, SIGKILL after the grace; resolves when it is gone. Idempotent. */
  async stop(): Promise<void> {
    if (this.#isGone) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), this.#graceMs);
    await this.exited.catch(() => {});
    clearTimeout(timer);
  }

  #onLine(line: string): void {
    remember(this.#all, line);
    remember(this.#output, line);
    for (const waiter of this.#waiters) if (waiter.accept(line)) waiter.resolve(line);
  }

  #onClose(code: number | null, signal: NodeJS.Signals | null): ChildExit {
    this.#isGone = true;
    const text = signal === null ? `exited with ${code}` : `ended by ${signal}`;
    for (const waiter of this.#waiters) waiter.reject(new Error(`${this.command} ${text}`));
    return { code, text };
  }
}

function remember(lines: string[], line: string): void {
  lines.push(line);
  if (lines.length > KEPT_LINES) lines.shift();
}

/** Starts a program that is ended when the scope closes. */
export function startChild(scope: Scope, command: string, args: readonly string[], options: ChildOptions = {}): Child {
  const child = new Child(command, args, options);
  scope.defer(() => child.stop());
  return child;
}

export interface RunOptions extends ChildOptions {
  readonly timeoutMs?: number;
}

/** Runs a program to its end and returns its last 40 lines. Rejects with them when it fails or is late. */
export async function run(
  scope: Scope,
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const child = startChild(scope, command, args, options);
  const what = `${command} ${args.join(' ')}`;
  try {
    const { code, text } = await withDeadline(child.exited, what, options.timeoutMs ?? 60_000);
    if (code !== 0) throw new Error(`${what} ${text}`);
    return child.tail();
  } catch (error) {
    await child.stop();
    throw new Error(`${(error as Error).message}\n${child.tail()}`);
  }
}
