/**
 * Progress in three styles: a bar on a terminal, a line every ten seconds in a log, JSON lines for machines.
 * Owns one timer, from start to stop. What was reported once ends with a last report, so that a log says how it ended;
 * work that is over before the first line is told by its result alone.
 */
import { createRequire } from 'node:module';
import type { SingleBar } from 'cli-progress';
import { barLine } from './bar-line.js';
import { cellsOf } from './format.js';
import { type Sample, sampleFields, sampleText } from './sample.js';

/** A place for text. `process.stdout` and `process.stderr` are such. */
export interface Stream {
  write(text: string): boolean;
  readonly isTTY?: boolean;
  readonly columns?: number;
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
}

export type ProgressStyle = 'bar' | 'lines' | 'json';

export interface ProgressView {
  /** Makes room for another line of text; the bar is drawn again at its next report. */
  erase(): void;
  /** Reports once more and ends. Idempotent. */
  stop(): void;
}

export interface ProgressOptions {
  readonly style: ProgressStyle;
  readonly intervalMs?: number | undefined;
  readonly stderr: Stream;
  /** The terminal breaks a long line into rows when it becomes narrower; default true. */
  readonly isReflowing?: boolean | undefined;
  readonly writeJson: (fields: Record<string, unknown>) => void;
}

/** Without anything new machines hear from us this rarely: a seed may stand still for weeks. */
const IDLE_JSON_MS = 10_000;

/** Milliseconds between reports: a bar that moves smoothly, a log that stays short, a machine that is not flooded. */
const INTERVAL_MS: Readonly<Record<ProgressStyle, number>> = { bar: 200, lines: 10_000, json: 1000 };

const LOOK_EVERY_MS = 1000;

interface Painter {
  paint(sample: Sample, isLast: boolean): void;
  erase(): void;
  close(): void;
}

export function startProgress(sample: () => Sample, options: ProgressOptions): ProgressView {
  const painter = makePainter(options);
  const report = (isLast: boolean): void => painter.paint(sample(), isLast);
  if (options.style !== 'lines') report(false);
  const intervalMs = options.intervalMs ?? INTERVAL_MS[options.style];
  // Rates are of the last seconds: who reports more rarely looks all the same.
  const looks = Math.max(1, Math.round(intervalMs / LOOK_EVERY_MS));
  let look = 0;
  const timer = setInterval(() => {
    look++;
    if (look % looks === 0) report(false);
    else sample();
  }, intervalMs / looks);
  let isStopped = false;
  return {
    erase: () => {
      if (!isStopped) painter.erase();
    },
    stop: () => {
      if (isStopped) return;
      isStopped = true;
      clearInterval(timer);
      report(true);
      painter.close();
    },
  };
}

function makePainter(options: ProgressOptions): Painter {
  if (options.style === 'bar') return new BarPainter(options.stderr, options.isReflowing !== false);
  const nothing = (): void => {};
  if (options.style === 'json') {
    return { paint: jsonPaint(options), erase: nothing, close: nothing };
  }
  let previous = '';
  const paint = (sample: Sample, isLast: boolean): void => {
    if (isLast && previous === '') return;
    const text = sampleText(sample);
    // An idle seed would otherwise write the same line for weeks.
    if (text !== previous) options.stderr.write(`haul: ${text}\n`);
    previous = text;
  };
  return { paint, erase: nothing, close: nothing };
}

/** A line for each report in which something has moved, and now and then one when nothing has. */
function jsonPaint({ writeJson, intervalMs = INTERVAL_MS.json }: ProgressOptions): Painter['paint'] {
  const reportsWhenIdle = Math.max(1, Math.round(IDLE_JSON_MS / intervalMs));
  let previous = '';
  let silent = 0;
  return (sample, isLast) => {
    const state = whatMoves(sample);
    silent++;
    if (state === previous && silent < reportsWhenIdle && !isLast) return;
    previous = state;
    silent = 0;
    writeJson(sampleFields(sample));
  };
}

/** What of a sample says that something goes on: times left and times waited change by themselves. */
function whatMoves({ phase, doneBytes, totalBytes, bytesPerSec, torrent }: Sample): string {
  const own = [phase, doneBytes, totalBytes, Math.round(bytesPerSec)];
  if (torrent === undefined) return own.join();
  const { downloadedBytes, uploadedBytes, peers, seeds, knownAddresses, health } = torrent;
  const codes = health.map(({ code }) => code);
  return [...own, downloadedBytes, uploadedBytes, peers, seeds, knownAddresses, ...codes].join();
}

const COLUMNS_DEFAULT = 80;

/** cli-progress draws; a phase without an end (seeding) is a status line instead of a bar. */
class BarPainter implements Painter {
  readonly #stream: BarStream;
  readonly #isReflowing: boolean;
  readonly #onResize = (): void => this.#resize();
  #bar: SingleBar | null = null;
  #last: Sample | null = null;
  /** Columns that the line on the screen takes, as it was drawn. */
  #cells = 0;
  #phase = '';
  #hasEnd = false;

  constructor(stream: Stream, isReflowing: boolean) {
    this.#stream = new BarStream(stream);
    this.#isReflowing = isReflowing;
    stream.on?.('resize', this.#onResize);
  }

  paint(sample: Sample, isLast: boolean): void {
    const hasEnd = sample.totalBytes > 0;
    // "preparing" and "stopping" last moments: they share the bar of what they belong to.
    const isMoment = sample.phase === 'stopping' || this.#phase === 'preparing';
    const isNew = this.#bar === null || hasEnd !== this.#hasEnd || (sample.phase !== this.#phase && !isMoment);
    const line = barLine(sample, this.#stream.columns || COLUMNS_DEFAULT);
    if (isNew && !isLast) {
      if (this.#phase === 'preparing') this.#discard();
      else this.end();
      this.#hasEnd = hasEnd;
      this.#bar = makeBar(this.#stream);
      this.#bar.start(1, 0, { line });
    } else if (hasEnd === this.#hasEnd) this.#bar?.update(0, { line });
    else return;
    this.#cells = cellsOf(line);
    this.#last = sample;
    this.#phase = sample.phase;
  }

  erase(): void {
    if (this.#bar !== null) this.#stream.write('\r\u001b[K');
  }

  end(): void {
    this.#bar?.stop();
    this.#bar = null;
  }

  close(): void {
    this.end();
    this.#stream.off('resize', this.#onResize);
  }

  /** A window that has become narrower shows the line in rows: all of them go, and the line is made anew. */
  #resize(): void {
    if (this.#bar === null || this.#last === null) return;
    const rows = Math.ceil(this.#cells / (this.#stream.columns || COLUMNS_DEFAULT));
    const up = this.#isReflowing && rows > 1 ? `\u001b[${rows - 1}A` : '';
    this.#stream.write(`\r${up}\u001b[J`);
    this.paint(this.#last, false);
  }

  /** Ends a bar that never told anything, without leaving its line. */
  #discard(): void {
    this.#stream.isMuted = true;
    this.end();
    this.#stream.isMuted = false;
    this.#stream.write('\r\u001b[K');
  }
}

const SAVE_CURSOR = '\u001b7';
const RESTORE_CURSOR = '\u001b8';

/**
 * What cli-progress draws on. It keeps the cursor's place from the start of a bar to its end, and would go back there
 * over every line of text that was printed in between: those two sequences are dropped, for a bar is always the last
 * line.
 */
class BarStream implements Stream {
  isMuted = false;
  readonly isTTY = true;
  readonly #stream: Stream;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  get columns(): number | undefined {
    return this.#stream.columns;
  }

  off(event: 'resize', listener: () => void): void {
    this.#stream.off?.(event, listener);
  }

  write(text: string): boolean {
    if (this.isMuted || text === SAVE_CURSOR || text === RESTORE_CURSOR) return true;
    return this.#stream.write(text);
  }
}

function makeBar(stream: Stream): SingleBar {
  // Loaded here because only terminals need it; require keeps the start of a bar synchronous.
  const cliProgress = createRequire(import.meta.url)('cli-progress') as typeof import('cli-progress');
  return new cliProgress.SingleBar({
    format: (_options, _params, payload: { readonly line: string }) => payload.line,
    stream: stream as NodeJS.WriteStream,
    // Left on, for warnings between two reports may be longer than a line; the bar itself is made to fit.
    linewrap: true,
    // Signals are ours: the library would install handlers of its own.
    gracefulExit: false,
    hideCursor: false,
    // The line may have been erased for a warning: draw it also when it has not changed.
    forceRedraw: true,
    stopOnComplete: false,
    autopadding: false,
  });
}
