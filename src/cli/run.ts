/**
 * Runs one command: signals, exit codes, the one-line error. Once a command runs, the only place that ends it.
 * Exit codes: 0 done, 1 failed, 2 usage, 3 nothing came for --timeout, 4 the --deadline passed, 5 not what a hash was
 * given for, 130 interrupted (SIGINT), 143 terminated (SIGTERM), 129 the terminal is gone (SIGHUP), 141 nobody reads
 * our output. A service that is interrupted or terminated has done what it was for: 0, as init systems expect.
 */
import { constants } from 'node:os';
import { fromSystemError, HaulError } from '../errors.js';
import type { CommonOptions } from './options.js';
import { Output } from './output.js';
import { reflows } from './terminal.js';

export type Outcome = 'done' | 'failed' | 'usage' | 'timeout' | 'deadline' | 'mismatch' | 'interrupted';

export interface Context {
  readonly output: Output;
  /** Fires at the first Ctrl-C: stop cleanly and return 'interrupted'. */
  readonly signal: AbortSignal;
}

/** Runs the body of a command and remembers the exit code. */
export type Runner = (
  command: string,
  options: CommonOptions,
  body: (context: Context) => Promise<Outcome>,
  kind?: Kind,
) => Promise<void>;

/** A service runs until it is told to stop: whoever stops it wants nothing else of it. */
export type Kind = 'job' | 'service';

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  timeout: 3,
  deadline: 4,
  mismatch: 5,
  interrupted: 130,
  brokenPipe: 141,
  terminated: 143,
} as const;

/** @param setExitCode called once, when the command has ended. */
export function makeRunner(setExitCode: (code: number) => void): Runner {
  return async (command, options, body, kind = 'job') => {
    const output = new Output({
      command,
      json: options.json === true,
      verbose: options.verbose === true || isDebug(),
      quiet: options.quiet === true,
      ...(options.progressInterval === undefined ? {} : { progressIntervalMs: options.progressInterval }),
      // Where a file goes to standard output, words do not.
      stdout: options.stdout === undefined ? process.stdout : process.stderr,
      stderr: process.stderr,
      isPlain: isPlainTerminal(),
      isReflowing: reflows(process.env),
    });
    const interrupt = listenForInterrupt(output);
    let outcome: Outcome;
    try {
      outcome = await body({ output, signal: interrupt.signal });
    } catch (error) {
      output.stopProgress();
      // What fails because it was told to stop has not failed.
      outcome = interrupt.signal.aborted && isAbort(error) ? 'interrupted' : 'failed';
      if (outcome === 'failed') output.error(error);
      if (outcome === 'failed' && error instanceof HaulError && error.code === 'MISMATCH') outcome = 'mismatch';
    }
    output.stopProgress();
    setExitCode(outcome === 'interrupted' ? exitCodeOf(interrupt.exitCode(), kind) : EXIT[outcome]);
  };
}

/** What SIGINT and SIGTERM make of a service; one whose terminal or reader is gone was not told to stop. */
function exitCodeOf(interrupted: number, kind: Kind): number {
  const isTold = interrupted === EXIT.interrupted || interrupted === EXIT.terminated;
  return kind === 'service' && isTold ? EXIT.done : interrupted;
}

/** Ends the process once what was written has left it. Sockets kept alive by HTTP clients must not hold it back. */
export function exitWhenWritten(code: number): void {
  process.exitCode = code;
  process.stdout.write('', () => {
    const lost = process.stdout.errored;
    if (lost !== null && !isBrokenPipe(lost)) {
      process.stderr.write(`haul: ${fromSystemError(lost, 'write to', 'standard output').message}\n`);
    }
    // A result that did not arrive is not done.
    const exitCode = lost !== null && code === EXIT.done ? exitCodeOfLostOutput(lost) : code;
    process.stderr.write('', () => process.exit(exitCode));
  });
}

function exitCodeOfLostOutput(error: Error): number {
  return isBrokenPipe(error) ? EXIT.brokenPipe : EXIT.failed;
}

/** A reader such as `head` has gone; a full disk is another matter. */
function isBrokenPipe(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'EPIPE';
}

/** HAUL_DEBUG=1 means --verbose everywhere, also where options are not parsed yet. */
export function isDebug(): boolean {
  const value = process.env.HAUL_DEBUG;
  return value !== undefined && value !== '' && value !== '0';
}

/** Terminals that cannot move the cursor (an editor's shell, a serial console) get lines instead of a bar. */
function isPlainTerminal(): boolean {
  const { TERM } = process.env;
  return process.platform !== 'win32' && (TERM === undefined || TERM === '' || TERM === 'dumb');
}

function isAbort(error: unknown): boolean {
  return (error instanceof HaulError && error.code === 'ABORTED') || (error as Error | null)?.name === 'AbortError';
}

/** npm and the like pass on a Ctrl-C that the terminal has sent to us as well: that pair is one. */
const SAME_PRESS_MS = 400;

interface Interrupt {
  readonly signal: AbortSignal;
  exitCode(): number;
}

function listenForInterrupt(output: Output): Interrupt {
  const controller = new AbortController();
  let exitCode: number = EXIT.interrupted;
  let firstMs = 0;
  const stop = (code: number): void => {
    if (controller.signal.aborted) {
      if (performance.now() - firstMs < SAME_PRESS_MS) return;
      output.stopProgress();
      process.exit(code);
    }
    exitCode = code;
    firstMs = performance.now();
    controller.abort(new HaulError('ABORTED', 'interrupted'));
  };
  // SIGHUP: the terminal was closed or the ssh connection fell. What is verified must be recorded then too.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!controller.signal.aborted && process.stderr.isTTY)
        output.note('stopping; press Ctrl-C again to exit at once');
      stop(128 + constants.signals[name]);
    });
  }
  // Nobody gets our results any more: stop as if interrupted. Why is said at the exit.
  process.stdout.on('error', (error) => {
    if (!controller.signal.aborted) stop(exitCodeOfLostOutput(error));
  });
  process.stderr.on('error', () => {});
  return { signal: controller.signal, exitCode: () => exitCode };
}
