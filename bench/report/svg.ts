/**
 * Plots as SVG text. Pure. Colours are classes of the page (`c0` … `c7` by series), so that one drawing serves light
 * and dark. Bars: the median as length, a line from the least to the greatest turn. Curves: both axes logarithmic, the
 * same line at every point.
 */
import { type SummaryRow, shortNumber, spreadText } from '../support/results.js';
import { type Curve, labelOf, type Sweep } from './curves.js';

export const COLOURS = 8;
const WIDTH = 640;
const BAR = 16;
const ROW = 38;
const CURVES_HEIGHT = 300;
const LEFT = 62;
const RIGHT = 16;
const TOP = 10;
const BOTTOM = 40;
/** Labels on an axis that stand closer than this share of it run into each other. */
const LABEL_GAP = 0.09;

export function escapeText(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

export type ColourOf = (series: string) => number;

/** One row each: label above, bar, median and spread beside it. Null when there is nothing to draw. */
export function barsSvg(title: string, rows: readonly SummaryRow[], figure: string, colourOf: ColourOf): string | null {
  const largest = Math.max(...rows.map((row) => row.figures[figure]!.max));
  if (rows.length === 0 || !(largest > 0)) return null;
  const room = WIDTH - 170;
  const x = (value: number): string => (4 + (Math.max(0, value) / largest) * room).toFixed(1);
  const parts: string[] = [];
  rows.forEach((row, index) => {
    const spread = row.figures[figure]!;
    const top = index * ROW;
    const middle = top + 18 + BAR / 2;
    const width = Math.max(1, Number(x(spread.median)) - 4).toFixed(1);
    const end = Math.max(Number(x(spread.max)), Number(x(spread.median))) + 8;
    parts.push(
      `<text x="4" y="${top + 12}">${escapeText(labelOf(row.series, row.parameters))}</text>`,
      `<rect class="c${colourOf(row.series)}" x="4" y="${top + 18}" width="${width}" height="${BAR}" rx="2"/>`,
      `<text class="value" x="${end.toFixed(1)}" y="${middle + 4}">${escapeText(spreadText(spread))}</text>`,
    );
    if (spread.min !== spread.max) {
      const [low, high] = [x(spread.min), x(spread.max)];
      parts.push(`<path class="spread" d="M${low} ${middle}H${high}M${low} ${middle - 4}v8M${high} ${middle - 4}v8"/>`);
    }
  });
  return svg(title, rows.length * ROW + 4, parts);
}

interface Axis {
  at(value: number): number;
  readonly ticks: readonly number[];
}

function logAxis(low: number, high: number, from: number, to: number, marks: readonly number[] | null): Axis {
  const [first, last] = low === high ? [low / 2, high * 2] : [low, high];
  const [a, b] = [Math.log10(first), Math.log10(last)];
  const at = (value: number): number => from + ((Math.log10(value) - a) / (b - a)) * (to - from);
  const ticks = marks ?? decades(first, last);
  const kept: number[] = [];
  for (const tick of ticks) {
    const previous = kept.at(-1);
    if (previous === undefined || Math.abs(at(tick) - at(previous)) >= LABEL_GAP * Math.abs(to - from)) kept.push(tick);
  }
  return { at, ticks: kept };
}

/** 1, 2 and 5 of every decade between two values, and the values themselves when that gives too few. */
function decades(low: number, high: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of [1, 2, 5]) {
      const value = step * 10 ** power;
      if (value >= low && value <= high) ticks.push(value);
    }
  }
  return ticks.length >= 2 ? ticks : [low, high];
}

export function curvesSvg(title: string, sweep: Sweep, colourOf: ColourOf): string {
  const points = sweep.curves.flatMap((curve) => curve.points);
  const values = points.flatMap(({ spread }) => [spread.median, spread.max, ...(spread.min > 0 ? [spread.min] : [])]);
  const counts = [...new Set(points.map(({ n }) => n))].sort((a, b) => a - b);
  const right = WIDTH - RIGHT;
  const bottom = CURVES_HEIGHT - BOTTOM;
  const xAxis = logAxis(counts[0]!, counts.at(-1)!, LEFT + 10, right - 10, counts);
  const yAxis = logAxis(Math.min(...values), Math.max(...values), bottom - 8, TOP + 8, null);
  const parts = [`<path class="axis" d="M${LEFT} ${TOP}V${bottom}H${right}"/>`];
  for (const tick of xAxis.ticks) {
    const x = xAxis.at(tick).toFixed(1);
    parts.push(`<text class="tick" x="${x}" y="${bottom + 16}" text-anchor="middle">${shortNumber(tick)}</text>`);
  }
  for (const tick of yAxis.ticks) {
    const y = yAxis.at(tick);
    parts.push(
      `<path class="grid" d="M${LEFT} ${y.toFixed(1)}H${right}"/>`,
      `<text class="tick" x="${LEFT - 6}" y="${(y + 4).toFixed(1)}" text-anchor="end">${shortNumber(tick)}</text>`,
    );
  }
  const middle = (LEFT + right) / 2;
  const axis = escapeText(sweep.parameter);
  parts.push(`<text class="tick" x="${middle}" y="${CURVES_HEIGHT - 6}" text-anchor="middle">${axis}</text>`);
  for (const [index, curve] of sweep.curves.entries()) {
    parts.push(curveSvg(curve, colourOf(curve.series), index, xAxis, yAxis));
  }
  return svg(title, CURVES_HEIGHT, parts);
}

/** Curves of one series share a colour and differ in their dashes. */
function curveSvg(curve: Curve, colour: number, index: number, xAxis: Axis, yAxis: Axis): string {
  const places = curve.points.map(({ n, spread }) => {
    const low = spread.min > 0 ? spread.min : spread.median;
    const numbers = [xAxis.at(n), yAxis.at(spread.median), yAxis.at(low), yAxis.at(spread.max)];
    return numbers.map((each) => each.toFixed(1));
  });
  const line = `M${places.map(([x, y]) => `${x} ${y}`).join('L')}`;
  const spreads = places.map(([x, , low, high]) => `M${x} ${low}V${high}`).join('');
  const dots = places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3.5"/>`).join('');
  const group = `<g class="curve c${colour} d${index % 4}">`;
  return `${group}<path class="line" d="${line}"/><path class="whisker" d="${spreads}"/>${dots}</g>`;
}

function svg(title: string, height: number, parts: readonly string[]): string {
  const name = escapeText(title);
  return (
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${name}"><title>${name}</title>\n` +
    `${parts.join('\n')}\n</svg>`
  );
}
