/**
 * What the command says, and where. Results go to standard output; progress, warnings and errors to standard error.
 * With --json everything but logs is one JSON object per line on standard output, each with a `type` and a `time`.
 * Knows nothing of torrents; must not be called for anything that happens once per block.
 */
import { asSystemLimit, type ErrorFacts, HaulError } from '../errors.js';
import { printable } from './format.js';
import { type ProgressView, type Stream, startProgress } from './progress.js';
import type { Sample } from './sample.js';

export interface OutputOptions {
  readonly command: string;
  readonly json: boolean;
  readonly verbose: boolean;
  /** Neither progress nor remarks. */
  readonly quiet?: boolean;
  readonly progressIntervalMs?: number;
  readonly stdout: Stream;
  readonly stderr: Stream;
  /** The terminal knows no escape sequences: lines instead of a bar. */
  readonly isPlain?: boolean;
  /** The terminal breaks long lines when it becomes narrower; default true. */
  readonly isReflowing?: boolean;
  /** Milliseconds since 1970; default Date.now. */
  readonly wallClockMs?: () => number;
}

const NO_PROGRESS: ProgressView = { erase: () => {}, stop: () => {} };

/** Key and value of one JSON line; numbers that are not finite become null. */
export type Fields = Readonly<Record<string, unknown>>;

export class Output {
  readonly isJson: boolean;
  readonly isVerbose: boolean;
  readonly #options: OutputOptions;
  readonly #warned = new Set<string>();
  #view: ProgressView | null = null;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.isJson = options.json;
    this.isVerbose = options.verbose;
  }

  /** Somebody looks on: progress and remarks go to a terminal. */
  get isTerminal(): boolean {
    return this.#options.stderr.isTTY === true;
  }

  /** One event: `fields` for machines, `text` (lines, no final newline) for people. An empty text prints nothing. */
  event(type: string, fields: Fields, text: string): void {
    if (this.isJson) this.#writeJson(type, fields);
    else if (text !== '') {
      this.#view?.erase();
      this.#options.stdout.write(`${text}\n`);
    }
  }

  /** A remark for people only, on standard error. */
  note(text: string): void {
    if (!this.isJson && this.#options.quiet !== true) this.#writeError(`haul: ${printable(text)}`);
  }

  /** Repetitions of the same warning are dropped: trackers fail every few minutes. */
  warn(message: string, fields: Fields = {}): void {
    if (this.#warned.has(message)) return;
    if (this.#warned.size < 1000) this.#warned.add(message);
    if (this.isJson) this.#writeJson('warning', { message, ...fields });
    else this.#writeError(`haul: warning: ${printable(message)}`);
  }

  /** The one line about why the command failed; on standard error also with --json. */
  error(error: unknown): void {
    const { code, message, facts } = describeError(error);
    if (this.isJson) this.#writeJson('error', { code, message, facts });
    this.#writeError(`haul: ${printable(message, 2000)}`);
    // More of the same kind, such as all names that cannot be shared.
    for (const detail of detailsOf(facts)) this.#writeError(`haul:   ${printable(detail, 2000)}`);
    if (this.isVerbose && error instanceof Error && error.stack !== undefined) {
      this.#writeError(error.stack);
      if (error.cause instanceof Error) this.#writeError(`caused by: ${error.cause.stack}`);
    }
  }

  /** Log sink in the shape the engine wants; silent unless --verbose. */
  readonly log = (level: string, message: string, facts: Record<string, unknown> = {}): void => {
    if (!this.isVerbose) return;
    const pairs = Object.entries(facts).map(([key, value]) => ` ${key}=${printable(String(value))}`);
    this.#writeError(`haul: ${level}: ${printable(message)}${pairs.join('')}`);
  };

  /** Starts showing progress; `sample` is called at every report. Stop it before the result is printed. */
  progress(sample: () => Sample): ProgressView {
    this.#view?.stop();
    const { stderr, isPlain, isReflowing, quiet } = this.#options;
    if (quiet === true) return NO_PROGRESS;
    const view = startProgress(sample, {
      style: this.isJson ? 'json' : stderr.isTTY === true && isPlain !== true ? 'bar' : 'lines',
      intervalMs: this.#options.progressIntervalMs,
      stderr,
      isReflowing,
      writeJson: (fields) => this.#writeJson('progress', fields),
    });
    this.#view = view;
    return view;
  }

  /** Ends progress that is still shown: after an error, or before an exit at once. */
  stopProgress(): void {
    this.#view?.stop();
    this.#view = null;
  }

  #writeJson(type: string, fields: Fields): void {
    const { command, wallClockMs = Date.now, stdout } = this.#options;
    const time = new Date(wallClockMs()).toISOString();
    stdout.write(`${JSON.stringify({ type, command, time, ...fields })}\n`);
  }

  #writeError(line: string): void {
    this.#view?.erase();
    this.#options.stderr.write(`${line}\n`);
  }
}

interface ErrorDescription {
  readonly code: string;
  readonly message: string;
  readonly facts: ErrorFacts;
}

function detailsOf({ details }: ErrorFacts): string[] {
  return typeof details === 'string' ? details.split('\n') : [];
}

/** Operating errors speak for themselves; anything else is a mistake in the program and says so. */
export function describeError(error: unknown): ErrorDescription {
  const known = error instanceof HaulError ? error : asSystemLimit(error);
  if (known !== null) return { code: known.code, message: known.message, facts: known.facts };
  const detail = error instanceof Error ? error.message : String(error);
  const what = detail.split('\n')[0];
  const message = `internal error: ${what} (run again with --verbose for a stack trace, and report it)`;
  return { code: 'INTERNAL', message, facts: {} };
}
