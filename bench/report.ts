/**
 * `npm run bench -- report [FILES…] [--out report.html] | --markdown | --tables` One HTML page of the results in FILES
 * (default: bench/results/*.json, of an installed package ./bench-results/*.json), or their figures as Markdown, or
 * these put into BENCHMARKS.md between its two marks. `--small` draws made-up results and writes nothing.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { PACKAGE_ROOT } from '../lab/root.js';
import { ValueError } from '../src/cli/values.js';
import { fromSystemError } from '../src/errors.js';
import { figuresMarkdown, withFigures } from './report/figures.js';
import { reportPage } from './report/page.js';
import { RESULTS_FOLDER } from './support/place.js';
import { Results, type ResultsFile } from './support/results.js';

function defaultFiles(): string[] {
  const names = existsSync(RESULTS_FOLDER) ? readdirSync(RESULTS_FOLDER) : [];
  return names.filter((name) => name.endsWith('.json')).map((name) => path.join(RESULTS_FOLDER, name));
}

/** @throws with the file's name when it holds no results. */
function readResults(file: string): ResultsFile {
  let results: Partial<ResultsFile>;
  try {
    results = JSON.parse(readFileSync(file, 'utf8')) as Partial<ResultsFile>;
  } catch (error) {
    throw new ValueError(
      error instanceof SyntaxError ? `${file} is not JSON` : fromSystemError(error, 'read', file).message,
    );
  }
  if (typeof results.bench !== 'string' || !Array.isArray(results.summary) || results.machine === undefined) {
    throw new ValueError(`${file}: these are no results of a bench`);
  }
  return results as ResultsFile;
}

/** A comparison with three turns and a curve, from arithmetic. */
export function madeUpResults(): ResultsFile {
  const results = new Results('made-up', { argv: ['--small'], parameters: { turns: 3 } });
  for (let turn = 0; turn < 3; turn++) {
    for (const [series, factor] of [
      ['swarmhaul', 2],
      ['rival <A&B>', 1],
    ] as const) {
      results.add({ series, turn, figures: { mbPerSec: factor * (400 + 10 * turn), cpuSecPerGb: 2 / factor } });
      for (const n of [10, 100, 1000]) {
        results.add({ series, turn, parameters: { n }, figures: { mbPerSec: factor * n ** 0.5 * (1 + turn / 100) } });
      }
    }
  }
  return results.contents();
}

export async function main(argv: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      out: { type: 'string', default: 'report.html' },
      markdown: { type: 'boolean', default: false },
      tables: { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
    },
  });
  if (values.small) {
    const page = reportPage([madeUpResults()]);
    process.stdout.write(`a page of ${page.length} characters\n`);
    return;
  }
  const files = (positionals.length === 0 ? defaultFiles() : positionals).sort().map(readResults);
  if (files.length === 0) throw new ValueError(`no results: name JSON files, or put some into ${RESULTS_FOLDER}`);
  if (values.markdown) process.stdout.write(figuresMarkdown(files));
  if (values.tables) {
    const page = path.join(PACKAGE_ROOT, 'BENCHMARKS.md');
    writeFileSync(page, withFigures(readFileSync(page, 'utf8'), figuresMarkdown(files)));
    process.stdout.write(`figures of ${files.length} benches put into BENCHMARKS.md\n`);
  }
  if (values.markdown || values.tables) return;
  writeFileSync(values.out, reportPage(files));
  process.stdout.write(`${files.length} benches in ${values.out}\n`);
}
