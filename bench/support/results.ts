/**
 * The figures of one run of a bench: collected turn by turn, printed as a table (median, min–max) and written as JSON
 * to `--out FILE`, else to bench/out/BENCH.json (of an installed package: ./bench-results/BENCH.json). What is in the
 * file is `ResultsFile`; `report` draws it.
 * A bench must declare `out` among its own options when it parses strictly.
 */
import { accessSync, constants, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ValueError } from '../../src/cli/values.js';
import { currentCommit, describeMachine, type Machine, ownVersions } from './machine.js';
import { OUT_FOLDER } from './place.js';

export type Parameters = Readonly<Record<string, string | number | boolean>>;

export interface Run {
  /** Who: 'swarmhaul', 'libtorrent', 'mktorrent' … */
  readonly series: string;
  /** 0, 1, 2 … : the same turn of all series ran next to each other. */
  readonly turn: number;
  /** What differs between runs of one series: connections, piece length … */
  readonly parameters?: Parameters;
  /** Names carry the unit last: mbPerSec, cpuSecPerGb, peakMiB. */
  readonly figures: Readonly<Record<string, number>>;
  /** Of what the run produced, when it produced something. */
  readonly checksum?: string;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface SummaryRow {
  readonly series: string;
  readonly parameters: Parameters;
  readonly turns: number;
  readonly figures: Readonly<Record<string, Spread>>;
  /** The one checksum of all its runs; absent when there was none or they differ. */
  readonly checksum?: string;
}

export interface Skipped {
  readonly series: string;
  readonly reason: string;
}

export interface ResultsFile {
  readonly bench: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly commit: string | null;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly argv: readonly string[];
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly runs: readonly Run[];
  readonly skipped: readonly Skipped[];
  readonly summary: readonly SummaryRow[];
}

export interface ResultsOptions {
  readonly argv: readonly string[];
  /** What holds for every run: size, piece length, file system, turns. */
  readonly parameters?: Record<string, unknown>;
}

/** The middle value; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Runs of one series with equal parameters, in order of first appearance. */
export function summarise(runs: readonly Run[]): SummaryRow[] {
  const groups = new Map<string, Run[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.series, run.parameters ?? {}]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [run]);
    else group.push(run);
  }
  return [...groups.values()].map((group) => {
    const names = new Set(group.flatMap((run) => Object.keys(run.figures)));
    const figures: Record<string, Spread> = {};
    for (const name of names) {
      figures[name] = spreadOf(group.map((run) => run.figures[name]).filter((value) => value !== undefined));
    }
    const checksums = new Set(group.map((run) => run.checksum));
    const [checksum] = checksums;
    const row = { series: group[0]!.series, parameters: group[0]!.parameters ?? {}, turns: group.length, figures };
    return checksums.size === 1 && checksum !== undefined ? { ...row, checksum } : row;
  });
}

/** Four significant digits at most, no exponent for what a table holds. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en');
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return String(Number(value.toFixed(1)));
  if (size >= 1) return String(Number(value.toFixed(2)));
  return String(Number(value.toPrecision(2)));
}

export function spreadText({ median: middle, min, max }: Spread): string {
  const short = shortNumber(middle);
  return min === max ? short : `${short} (${shortNumber(min)}–${shortNumber(max)})`;
}

export function parametersText(parameters: Parameters): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? value.toLocaleString('en') : value}`)
    .join(', ');
}

function pad(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

/**
 * The summary as text: a row per series, or a row per figure where that is narrower.
 * @param columns figures to show; default: all
 */
export function summaryTable(summary: readonly SummaryRow[], columns?: readonly string[]): string {
  if (summary.length === 0) return 'no figures\n';
  const there = [...new Set(summary.flatMap((row) => Object.keys(row.figures)))];
  const names = columns?.filter((name) => there.includes(name)) ?? there;
  const rows = [['', ...names]];
  for (const row of summary) {
    const label = [row.series, parametersText(row.parameters)].filter((text) => text !== '').join(', ');
    rows.push([label, ...names.map((name) => (row.figures[name] ? spreadText(row.figures[name]) : ''))]);
  }
  const turned = rows[0]!.map((_, column) => rows.map((row) => row[column]!));
  const lines = pad(summary.length <= 4 && names.length > summary.length ? turned : rows);
  return `${lines.join('\n')}\n`;
}

/** `--out FILE` or `--out=FILE`, and the rest. */
function splitOut(argv: readonly string[]): { out: string | null; rest: string[] } {
  const rest: string[] = [];
  let out: string | null = null;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--out' && i + 1 < argv.length) out = argv[++i]!;
    else if (word.startsWith('--out=')) out = word.slice('--out='.length);
    else rest.push(word);
  }
  return { out, rest };
}

/** Before minutes of measuring: can the file of `--out` be made? @throws ValueError */
export function checkOut(argv: readonly string[]): void {
  const { out } = splitOut(argv);
  if (out === null) return;
  const file = path.resolve(out);
  try {
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) throw new Error('it is a folder');
    mkdirSync(path.dirname(file), { recursive: true });
    accessSync(path.dirname(file), constants.W_OK);
  } catch (error) {
    throw new ValueError(`--out ${out} cannot be written: ${(error as Error).message}`);
  }
}

export class Results {
  readonly file: string;
  readonly #bench: string;
  readonly #argv: readonly string[];
  readonly #parameters: Readonly<Record<string, unknown>>;
  readonly #versions: Record<string, string> = ownVersions();
  readonly #startedAt = new Date().toISOString();
  readonly #runs: Run[] = [];
  readonly #skipped: Skipped[] = [];

  constructor(bench: string, options: ResultsOptions) {
    const { out, rest } = splitOut(options.argv);
    this.#bench = bench;
    this.#argv = rest;
    this.#parameters = options.parameters ?? {};
    this.file = out === null ? path.join(OUT_FOLDER, `${bench}.json`) : path.resolve(out);
  }

  add(run: Run): void {
    this.#runs.push(run);
  }

  /** A rival, or a part, that could not be measured here. */
  skip(series: string, reason: string): void {
    process.stderr.write(`${this.#bench}: ${series} skipped: ${reason}\n`);
    this.#skipped.push({ series, reason });
  }

  /** The version of a rival or a tool. */
  version(name: string, version: string): void {
    this.#versions[name] = version;
  }

  contents(): ResultsFile {
    return {
      bench: this.#bench,
      machine: describeMachine(),
      versions: this.#versions,
      commit: currentCommit(),
      startedAt: this.#startedAt,
      argv: this.#argv,
      parameters: this.#parameters,
      runs: this.#runs,
      skipped: this.#skipped,
      summary: summarise(this.#runs),
    };
  }

  /** Prints all figures in a table, or those of each list in a table of its own, and writes the file. */
  async finish(tables: readonly (readonly string[] | undefined)[] = [undefined]): Promise<void> {
    const contents = this.contents();
    process.stdout.write(tables.map((columns) => summaryTable(contents.summary, columns)).join('\n'));
    mkdirSync(path.dirname(this.file), { recursive: true });
    const part = `${this.file}.${process.pid}.part`;
    writeFileSync(part, `${JSON.stringify(contents, null, 2)}\n`);
    renameSync(part, this.file);
    process.stdout.write(`figures in ${path.relative(process.cwd(), this.file)}\n`);
  }
}
