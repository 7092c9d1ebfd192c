/** Which rows of a summary make curves, and which stand alone. Pure. */
import { growthExponent } from '../support/growth.js';
import { type Parameters, parametersText, type Spread, type SummaryRow } from '../support/results.js';

export interface CurvePoint {
  readonly n: number;
  readonly spread: Spread;
}

export interface Curve {
  /** Series and whatever parameters stay the same along the curve. */
  readonly label: string;
  readonly series: string;
  readonly points: readonly CurvePoint[];
  /** k of y = a n^k; null where there is no trend to speak of. */
  readonly exponent: number | null;
}

export interface Sweep {
  readonly parameter: string;
  readonly curves: readonly Curve[];
}

/** Fewer points are a comparison, not a curve. */
const POINTS_MIN = 3;

function without(parameters: Parameters, name: string): Parameters {
  return Object.fromEntries(Object.entries(parameters).filter(([key]) => key !== name));
}

export function labelOf(series: string, parameters: Parameters): string {
  return [series, parametersText(parameters)].filter((text) => text !== '').join(', ');
}

/** Parameters with numbers of which some series has three values or more, all else equal. */
function sweptParameters(rows: readonly SummaryRow[]): string[] {
  const names = new Set(rows.flatMap(({ parameters }) => Object.keys(parameters)));
  return [...names].filter((name) => [...groups(rows, name).values()].some((group) => group.length >= POINTS_MIN));
}

function groups(rows: readonly SummaryRow[], name: string): Map<string, SummaryRow[]> {
  const found = new Map<string, SummaryRow[]>();
  for (const row of rows) {
    if (typeof row.parameters[name] !== 'number') continue;
    const key = JSON.stringify([row.series, without(row.parameters, name)]);
    found.set(key, [...(found.get(key) ?? []), row]);
  }
  return found;
}

/** The curves of one figure along each swept parameter. Only positive values have a place on logarithmic axes. */
export function sweepsOf(rows: readonly SummaryRow[], figure: string): Sweep[] {
  return sweptParameters(rows).flatMap((parameter) => {
    const curves: Curve[] = [];
    for (const group of groups(rows, parameter).values()) {
      const points = group
        .map((row) => ({ n: row.parameters[parameter] as number, spread: row.figures[figure] }))
        .filter((point): point is CurvePoint => point.spread !== undefined && point.n > 0 && point.spread.median > 0)
        .sort((a, b) => a.n - b.n);
      if (points.length < POINTS_MIN) continue;
      const { series, parameters } = group[0]!;
      const exponent = growthExponent(
        points.map(({ n, spread }) => ({ n, y: spread.median })),
        0,
      );
      curves.push({ label: labelOf(series, without(parameters, parameter)), series, points, exponent });
    }
    return curves.length === 0 ? [] : [{ parameter, curves }];
  });
}

/** Rows that have this figure and lie on no curve of it. */
export function loneRows(rows: readonly SummaryRow[], figure: string): SummaryRow[] {
  const swept = sweptParameters(rows);
  return rows.filter((row) => {
    if (row.figures[figure] === undefined) return false;
    return !swept.some((name) =>
      [...groups(rows, name).values()].some((group) => group.length >= POINTS_MIN && group.includes(row)),
    );
  });
}
