/** One self-contained HTML page of any number of results: no script, no asset from elsewhere. Pure. */
import { type ResultsFile, type SummaryRow, shortNumber } from '../support/results.js';
import { type Curve, labelOf, loneRows, type Sweep, sweepsOf } from './curves.js';
import { STYLE } from './style.js';
import { barsSvg, COLOURS, type ColourOf, curvesSvg, escapeText } from './svg.js';

/** Plots shown at once; the others open with a click. */
const PLOTS_FIRST = 6;
/** More curves in one plot cannot be told apart. */
const CURVES_MAX = 8;

export function figureNames(file: ResultsFile): string[] {
  return [...new Set(file.summary.flatMap((row) => Object.keys(row.figures)))];
}

export function machineText({ machine }: ResultsFile): string {
  const { cpu, cores, memoryGiB, system, kernel } = machine;
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Linux ${kernel}`.replace('Linux Linux', 'Linux');
}

export function commandOf({ bench, argv }: ResultsFile): string {
  return ['npm run bench --', bench, ...argv].join(' ');
}

function colours(file: ResultsFile): ColourOf {
  const order = [...new Set(file.summary.map((row) => row.series))];
  return (series) => Math.max(0, order.indexOf(series)) % COLOURS;
}

function cell(row: SummaryRow, name: string): string {
  const spread = row.figures[name];
  if (spread === undefined) return '<td></td>';
  const range = spread.min === spread.max ? '' : `<small>${shortNumber(spread.min)}–${shortNumber(spread.max)}</small>`;
  return `<td>${shortNumber(spread.median)}${range}</td>`;
}

function table(file: ResultsFile): string {
  const names = figureNames(file);
  const head = names.map((name) => `<th>${escapeText(name)}</th>`).join('');
  const rows = file.summary.map((row) => {
    const label = escapeText(labelOf(row.series, row.parameters));
    return `<tr><td>${label}</td><td>${row.turns}</td>${names.map((name) => cell(row, name)).join('')}</tr>`;
  });
  return (
    `<div class="wide"><table><thead><tr><th></th><th>turns</th>${head}</tr></thead>\n` +
    `<tbody>\n${rows.join('\n')}\n</tbody></table></div>`
  );
}

function exponentText(curve: Curve, parameter: string): string {
  if (curve.exponent === null) return 'no trend';
  return `grows as ${parameter}<sup>${curve.exponent.toFixed(2)}</sup>`;
}

function curveFigure(name: string, sweep: Sweep, colourOf: ColourOf): string {
  const legend = sweep.curves.map((curve) => {
    const key = `<span class="key c${colourOf(curve.series)}"></span>`;
    return `<div>${key}${escapeText(curve.label)}: ${exponentText(curve, escapeText(sweep.parameter))}</div>`;
  });
  const title = `${name} by ${sweep.parameter}`;
  return (
    `<figure><h3>${escapeText(title)}</h3>\n${curvesSvg(title, sweep, colourOf)}\n` +
    `<figcaption>${legend.join('')}</figcaption></figure>`
  );
}

function plotsOf(file: ResultsFile, name: string): string[] {
  const colourOf = colours(file);
  const plots: string[] = [];
  for (const { parameter, curves } of sweepsOf(file.summary, name)) {
    for (let first = 0; first < curves.length; first += CURVES_MAX) {
      plots.push(curveFigure(name, { parameter, curves: curves.slice(first, first + CURVES_MAX) }, colourOf));
    }
  }
  const bars = barsSvg(`${file.bench}: ${name}`, loneRows(file.summary, name), name, colourOf);
  if (bars !== null) plots.push(`<figure><h3>${escapeText(name)}</h3>\n${bars}</figure>`);
  return plots;
}

function plots(file: ResultsFile): string {
  const all = figureNames(file).flatMap((name) => plotsOf(file, name));
  const shown = `<div class="plots">\n${all.slice(0, PLOTS_FIRST).join('\n')}\n</div>`;
  const rest = all.slice(PLOTS_FIRST);
  if (rest.length === 0) return shown;
  const summary = `<summary>${rest.length} more plots</summary>`;
  return `${shown}\n<details>${summary}<div class="plots">\n${rest.join('\n')}\n</div></details>`;
}

function section(file: ResultsFile, id: string): string {
  const facts = Object.entries(file.parameters).map(([name, value]) => `${name} ${String(value)}`);
  const skipped = file.skipped.map(
    ({ series, reason }) => `<p>Not measured: ${escapeText(`${series}: ${reason}`)}</p>`,
  );
  const versions = Object.entries(file.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `<section id="${id}"><h2>${escapeText(file.bench)}</h2>`,
    `<p><code>${escapeText(commandOf(file))}</code></p>`,
    `<p class="soft">${escapeText([file.startedAt, `commit ${file.commit ?? 'unknown'}`, ...facts].join(' · '))}</p>`,
    `<p class="soft">${escapeText(machineText(file))} · ${escapeText(versions.join(', '))}</p>`,
    ...skipped,
    table(file),
    plots(file),
    '</section>',
  ].join('\n');
}

export function reportPage(files: readonly ResultsFile[]): string {
  const ids = files.map((file, index) => `${file.bench}-${index}`);
  const links = files.map((file, index) => `<a href="#${ids[index]}">${escapeText(file.bench)}</a>`);
  const machines = [...new Set(files.map(machineText))];
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Swarmhaul: benchmarks</title><style>${STYLE}</style></head><body>`,
    '<h1>Swarmhaul: benchmarks</h1>',
    ...machines.map((text) => `<p>${escapeText(text)}</p>`),
    '<p class="soft">Medians of the turns; below them, and as a thin line in plots, the least and the greatest.',
    'Curves have logarithmic axes.</p>',
    `<nav>${links.join(' ')}</nav>`,
    ...files.map((file, index) => section(file, ids[index]!)),
    '</body></html>\n',
  ].join('\n');
}
