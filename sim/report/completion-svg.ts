/**
 * Who was done when: seconds against the share of hosts, the ideal as a dashed line. SVG text with the classes of the
 * page. Pure.
 */
import { COLOURS, escapeText } from '../../bench/report/svg.js';
import { shortNumber } from '../../bench/support/results.js';
import type { Curve } from '../scenario.js';

const WIDTH = 640;
const HEIGHT = 300;
const LEFT = 50;
const RIGHT = 16;
const TOP = 12;
const BOTTOM = 40;
const TICKS = 6;
/** Steps of one curve; more cannot be seen. */
const STEPS_MAX = 400;

/** 1, 2 or 5 times a power of ten, so that about `TICKS` of them reach `last`. */
function tickStep(last: number): number {
  const power = 10 ** Math.floor(Math.log10(last / TICKS));
  return power * ([1, 2, 5, 10].find((step) => last / (power * step) <= TICKS) ?? 10);
}

export function completionSvg(title: string, curves: readonly Curve[]): string {
  const ends = curves.flatMap(({ seconds, idealSeconds }) => [seconds.at(-1) ?? 0, idealSeconds ?? 0]);
  const last = Math.max(...ends, 1e-3) * 1.05;
  const bottom = HEIGHT - BOTTOM;
  const x = (seconds: number): string => (LEFT + (seconds / last) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (share: number): string => (bottom - share * (bottom - TOP)).toFixed(1);
  const parts = [`<path class="axis" d="M${LEFT} ${TOP}V${bottom}H${WIDTH - RIGHT}"/>`];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(
      `<path class="grid" d="M${LEFT} ${y(share)}H${WIDTH - RIGHT}"/>`,
      `<text class="tick" x="${LEFT - 6}" y="${Number(y(share)) + 4}" text-anchor="end">${share * 100} %</text>`,
    );
  }
  const step = tickStep(last);
  for (let tick = 0; tick <= last; tick += step) {
    parts.push(`<text class="tick" x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${shortNumber(tick)}</text>`);
  }
  const middle = (LEFT + WIDTH - RIGHT) / 2;
  const axis = 'seconds from the start of each host';
  parts.push(`<text class="tick" x="${middle}" y="${HEIGHT - 6}" text-anchor="middle">${axis}</text>`);
  for (const [index, curve] of curves.entries()) parts.push(curveSvg(curve, index % COLOURS, x, y));
  const name = escapeText(title);
  return (
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${name}"><title>${name}</title>\n` +
    `${parts.join('\n')}\n</svg>`
  );
}

type Place = (value: number) => string;

function curveSvg({ seconds, idealSeconds }: Curve, colour: number, x: Place, y: Place): string {
  const lines: string[] = [];
  if (idealSeconds !== undefined) {
    lines.push(`<g class="d1"><path class="line" d="M${x(idealSeconds)} ${y(0)}V${y(1)}"/></g>`);
  }
  const stride = Math.max(1, Math.ceil(seconds.length / STEPS_MAX));
  let steps = `M${x(0)} ${y(0)}`;
  for (let done = stride; done < seconds.length + stride; done += stride) {
    const count = Math.min(done, seconds.length);
    steps += `H${x(seconds[count - 1]!)}V${y(count / seconds.length)}`;
  }
  if (seconds.length > 0) lines.push(`<path class="line" d="${steps}"/>`);
  return `<g class="curve c${colour}">${lines.join('')}</g>`;
}
