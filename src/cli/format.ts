/**
 * Numbers and names as people read them. Pure. Sizes and rates are decimal (1 MB = 1,000,000 bytes), piece lengths
 * binary.
 */

const DECIMAL = ['kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `999 B`, `1.2 MB`, `536.9 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  let value = bytes;
  let unit = -1;
  // 999.95 would print as "1000.0": step up before rounding does.
  while (value >= 999.95 && unit < DECIMAL.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(1)} ${DECIMAL[Math.max(unit, 0)]}`;
}

export function formatRate(bytesPerSec: number): string {
  return `${formatBytes(bytesPerSec)}/s`;
}

/** Piece lengths: exact in binary units where possible. */
export function formatBinary(bytes: number): string {
  if (bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20} MiB`;
  if (bytes % 2 ** 10 === 0) return `${bytes / 2 ** 10} KiB`;
  return `${bytes} B`;
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`; `--` when unknown. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '--';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** Rounds down to one decimal, so that 100.0 % is said of complete things only. */
export function percent(done: number, total: number): number {
  if (total <= 0 || done >= total) return 100;
  return Math.floor((done / total) * 1000) / 10;
}

/** `0-2, 7, 9-10`: ascending numbers as ranges, at most `limit` of them. */
export function formatRanges(numbers: readonly number[], limit: number): string {
  const parts: string[] = [];
  for (let at = 0; at < numbers.length; ) {
    if (parts.length === limit) {
      parts.push(`… (${numbers.length - at} more)`);
      break;
    }
    let end = at;
    while (end + 1 < numbers.length && numbers[end + 1] === numbers[end]! + 1) end++;
    parts.push(end === at ? `${numbers[at]}` : `${numbers[at]}-${numbers[end]}`);
    at = end + 1;
  }
  return parts.join(', ');
}

/** `1 peer`, `2 peers`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/**
 * Names and messages from outside may hold terminal escapes, line breaks and direction marks: shows them as `\u{…}`.
 * @param limit longest result in characters; the rest becomes `…`
 */
export function printable(text: string, limit = 500): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

/** East Asian wide characters and most emoji take two columns of a terminal, marks on others none. */
const WIDE = new RegExp(
  '[\\u1100-\\u115f\\u2e80-\\u303e\\u3041-\\ua4cf\\ua960-\\ua97f\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6f]|' +
    '[\\uff00-\\uff60\\uffe0-\\uffe6\\u{1f000}-\\u{1faff}\\u{20000}-\\u{3fffd}]',
  'u',
);
const NO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Columns that printable text takes on a terminal. */
export function cellsOf(text: string): number {
  let cells = 0;
  for (const character of text) cells += NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return cells;
}

/** As much of the beginning as fits. */
export function fitCells(text: string, cells: number): string {
  let fitting = '';
  let used = 0;
  for (const character of text) {
    used += cellsOf(character);
    if (used > cells) break;
    fitting += character;
  }
  return fitting;
}
