/** The tables of BENCHMARKS.md, as Markdown from results. Pure. */
import { parametersText, type ResultsFile, type SummaryRow, spreadText } from '../support/results.js';
import { commandOf, figureNames, machineText } from './page.js';

export const FIGURES_BEGIN = '<!-- figures -->';
export const FIGURES_END = '<!-- /figures -->';
/** Columns that people ask for first; a bench without any of them shows its first ones. */
const HEADLINES: readonly RegExp[] = [
  /^(?:mbPerSec|rateMbPerSec)$/,
  /^times(?:Rqbit|Libtorrent)$/,
  /^(?:leech|seed|receive|send|hash)?CpuSecPerGb$/i,
  /UsPerBlock$/i,
  /p99Ms$/i,
  /peakMiB$/i,
  /^announcesPerSec/,
  /^cpuMicrosPer/,
  /^ns/,
  /TimesIdeal$/,
  /^seedServedImages$/,
];
const COLUMNS_MAX = 6;

function columnsOf(file: ResultsFile): string[] {
  const names = figureNames(file);
  const chosen = HEADLINES.flatMap((pattern) => names.filter((name) => pattern.test(name)));
  return [...new Set(chosen.length === 0 ? names : chosen)].slice(0, COLUMNS_MAX);
}

function row(summary: SummaryRow, columns: readonly string[]): string {
  const cells = columns.map((name) => (summary.figures[name] ? spreadText(summary.figures[name]) : ''));
  return `| ${[summary.series, parametersText(summary.parameters), ...cells].map(escapeCell).join(' | ')} |`;
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function section(file: ResultsFile): string {
  const columns = columnsOf(file);
  const rows = file.summary.filter(({ figures }) => columns.some((name) => figures[name] !== undefined));
  return [
    `**${file.bench}**: \`${commandOf(file)}\``,
    '',
    `| | | ${columns.map(escapeCell).join(' | ')} |`,
    `|---|---|${columns.map(() => '---:|').join('')}`,
    ...rows.map((each) => row(each, columns)),
    ...file.skipped.map(({ series, reason }) => `\nNot measured: ${series}: ${reason}`),
  ].join('\n');
}

/** Median (least–greatest) of the turns, one table per bench. */
export function figuresMarkdown(files: readonly ResultsFile[]): string {
  const machines = [...new Set(files.map((file) => `${machineText(file)}, Node ${file.versions.node ?? '?'}`))];
  const head = `Median (least–greatest) of the turns of one run. ${machines.join('; ')}.`;
  return `${[head, ...files.map(section)].join('\n\n')}\n`;
}

/** @throws when there is no place for the figures. */
export function withFigures(page: string, markdown: string): string {
  const begin = page.indexOf(FIGURES_BEGIN);
  if (begin < 0) throw new Error(`the page has no ${FIGURES_BEGIN}`);
  const after = begin + FIGURES_BEGIN.length;
  const end = page.indexOf(FIGURES_END, after);
  const rest = end < 0 ? page.slice(after) : page.slice(end + FIGURES_END.length);
  return `${page.slice(0, after)}\n\n${markdown}\n${FIGURES_END}${rest}`;
}
