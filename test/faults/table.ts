/** The outcome of many cases, per class. */
import type { Case, Outcome } from './case.js';

interface Row {
  tried: number;
  survived: number;
  lost: number;
  /** Of the survived: a clear error first, then one more get. */
  refused: number;
  sigbus: number;
  lies: number;
}

const COLUMNS = ['tried', 'survived', 'lost', 'refused', 'sigbus', 'lies'] as const;
const TITLES = [
  'tried',
  'survived',
  'lost',
  'clear error first',
  'killed by SIGBUS',
  'first said done over other bytes',
];
const CLASS_WIDTH = 12;

export class Table {
  readonly #rows = new Map<string, Row>();

  add(drawn: Case, outcome: Outcome): void {
    for (const name of [drawn.disturbance, drawn.storage, drawn.end, drawn.shape, 'all']) this.#count(name, outcome);
  }

  /** @param names classes in the order of their rows */
  lines(names: readonly string[]): string[] {
    const rows = names.filter((name) => this.#rows.has(name));
    return [
      `| ${'class'.padEnd(CLASS_WIDTH)} | ${TITLES.join(' | ')} |`,
      `|-${'-'.repeat(CLASS_WIDTH)}-|${TITLES.map((title) => `${'-'.repeat(title.length + 1)}:`).join('|')}|`,
      ...rows.map((name) => {
        const row = this.#rows.get(name)!;
        const cells = COLUMNS.map((column, at) => String(row[column]).padStart(TITLES[at]!.length));
        return `| ${name.padEnd(CLASS_WIDTH)} | ${cells.join(' | ')} |`;
      }),
    ];
  }

  #count(name: string, { isSurvived, isRefused, isSigbus, isLie }: Outcome): void {
    const row = this.#rows.get(name) ?? { tried: 0, survived: 0, lost: 0, refused: 0, sigbus: 0, lies: 0 };
    this.#rows.set(name, row);
    row.tried++;
    if (isSurvived) row.survived++;
    else row.lost++;
    if (isRefused) row.refused++;
    if (isSigbus) row.sigbus++;
    if (isLie) row.lies++;
  }
}
