/** Numbers, times and names for people. Pure. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function rate(bytesPerSec: number): string {
  return bytesPerSec < 1 ? '0 B/s' : `${bytes(bytesPerSec)}/s`;
}

const STEPS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** "3 hours" */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [unit, name] = STEPS.find(([length]) => whole >= length) ?? STEPS.at(-1)!;
  const count = Math.floor(whole / unit);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

export function age(time: string, nowMs: number): string {
  return span((nowMs - Date.parse(time)) / 1000);
}

/** "in 3 hours", "now" */
export function until(time: string, nowMs: number): string {
  const seconds = (Date.parse(time) - nowMs) / 1000;
  return seconds <= 0 ? 'now' : `in ${span(seconds)}`;
}

const SHOWN_MAX = 160;
const TURNS_TEXT = /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\p{Cc}]/gu;

/** A name that looks like what it is: what turns the order of text, or cannot be seen, is spelled out. */
export function shown(name: string): string {
  const codes = (found: string): string => `<U+${found.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}>`;
  const characters = [...name];
  const isLong = characters.length > SHOWN_MAX;
  const half = SHOWN_MAX / 2;
  const short = isLong ? `${characters.slice(0, half).join('')}…${characters.slice(-half).join('')}` : name;
  return short.replace(TURNS_TEXT, codes);
}

/** For a URL: part by part. */
export function encodePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

/** What finds a text anywhere in a name, in the language of patterns; signs of that language are themselves. */
export function patternOf(text: string): string {
  return `**${text.replace(/[\\*?[\]{}]/g, '\\$&')}**`;
}

export function percent(part: number, whole: number): number {
  return whole <= 0 ? 0 : Math.min(100, Math.floor((part / whole) * 100));
}
