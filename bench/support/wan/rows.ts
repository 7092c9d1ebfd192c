/** The rows of the `wan` bench: links by name. */
import { ValueError } from '../../../src/cli/values.js';
import type { LinkShape } from './link.js';

/** How much later than the others some packets come where packets overtake each other. */
const LATE_MS = 5;

export const DEFAULT_ROWS: readonly string[] = [
  '10ms-100m',
  '50ms-100m',
  '200ms-100m',
  '10ms-1000m',
  '50ms-1000m',
  '200ms-1000m',
  '50ms-100m-1%',
  '200ms-100m-1%',
  '50ms-100m-5%',
  '50ms-100m-20late',
];

export interface Row extends LinkShape {
  readonly name: string;
}

/** @throws ValueError */
export function rowNamed(name: string): Row {
  const match = /^(\d+)ms-(\d+)m(?:-(\d+(?:\.\d+)?)(%|late))?$/.exec(name);
  const [, rtt, mbit, share = '0', kind] = match ?? [];
  const percent = Number(share);
  if (!(Number(rtt) > 0 && Number(mbit) > 0 && percent < 100))
    throw new ValueError(`--rows ${name}: write 50ms-100m, 50ms-100m-1% or 50ms-100m-20late`);
  const bad = { lossPercent: kind === '%' ? percent : 0, latePercent: kind === 'late' ? percent : 0, lateMs: LATE_MS };
  return { name, rttMs: Number(rtt), mbit: Number(mbit), ...bad };
}
