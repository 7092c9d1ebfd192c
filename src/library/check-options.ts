/**
 * Options as they come from plain JavaScript: unknown names and wrong types are refused with BAD_ARGUMENT, whose facts
 * name the option. Pure. The rules of one call are a table from name to rule; `undefined` is as good as not given.
 */
import { LIMITS } from '../config.js';
import { HaulError } from '../errors.js';

/** Null: the value will do. Else what it must be, completing "name …". */
export type Rule = (value: unknown) => string | null;

/** A rule for every option of `T`, and no other. */
export type Rules<T> = { readonly [K in keyof Required<T>]: Rule };

/**
 * @param where the call, as the user wrote it: 'createEngine'
 * @throws HaulError BAD_ARGUMENT; `facts.option` is the name
 */
export function checkOptions(where: string, options: unknown, rules: Readonly<Record<string, Rule>>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new HaulError('BAD_ARGUMENT', `options must be an object, not ${shown(options)}`, {
      call: where,
      option: 'options',
    });
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(rules, name)) throw unknownOption(where, name, Object.keys(rules));
    checkValue(where, name, value, rules[name]!);
  }
}

/** One argument or option by itself. @throws HaulError BAD_ARGUMENT; `facts.option` is the name */
export function checkValue(where: string, name: string, value: unknown, rule: Rule): void {
  const wanted = rule(value);
  if (wanted !== null) {
    throw new HaulError('BAD_ARGUMENT', `${name} ${wanted}, not ${shown(value)}`, { call: where, option: name });
  }
}

function unknownOption(where: string, name: string, known: readonly string[]): HaulError {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z]/g, '');
  const meant = known.find((each) => plain(each).includes(plain(name)) || plain(name).includes(plain(each)));
  const hint = meant === undefined || plain(name) === '' ? '' : `; is ${meant} meant?`;
  return new HaulError('BAD_ARGUMENT', `${where} has no option ${shown(name)}${hint}`, { call: where, option: name });
}

const SHOWN_CHARACTERS = 60;

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, SHOWN_CHARACTERS));
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

// ---- rules ----

const when =
  (isRight: (value: unknown) => boolean, wanted: string): Rule =>
  (value) =>
    isRight(value) ? null : wanted;

/** A whole number in a closed range. */
export function wholeNumber(low: number, high: number): Rule {
  const isRight = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= low && Number(value) <= high;
  return when(isRight, `must be a whole number from ${low} to ${high}`);
}

export function either(rule: Rule, ...values: readonly unknown[]): Rule {
  const also = values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))).join(' or ');
  return (value) => {
    const wanted = values.includes(value) ? null : rule(value);
    return wanted === null ? null : `${wanted}, or ${also}`;
  };
}

export function oneOf(...values: readonly string[]): Rule {
  return when((value) => values.includes(value as string), `must be ${values.map((each) => `'${each}'`).join(' or ')}`);
}

export function listOf(rule: Rule, what: string): Rule {
  return when(
    (value) => Array.isArray(value) && value.every((each) => rule(each) === null),
    `must be a list of ${what}`,
  );
}

export const flag: Rule = when((value) => typeof value === 'boolean', 'must be true or false');
export const text: Rule = when((value) => typeof value === 'string', 'must be a string');
export const words: Rule = when(
  (value) => typeof value === 'string' && value !== '',
  'must be a string that is not empty',
);
export const callable: Rule = when((value) => typeof value === 'function', 'must be a function');
export const port: Rule = wholeNumber(0, 65_535);
export const bytesPerSec: Rule = when(
  (value) => Number.isFinite(value) && Number(value) > 0,
  'must be a number of bytes per second above 0',
);
export const threads: Rule = wholeNumber(1, 256);
export const memory: Rule = wholeNumber(LIMITS.memoryBytesMin, Number.MAX_SAFE_INTEGER);
export const tiers: Rule = listOf(listOf(words, 'URLs'), 'lists of URLs');
export const urls: Rule = listOf(words, 'URLs');
export const bytes: Rule = when((value) => value instanceof Uint8Array, 'must be bytes (a Uint8Array)');
/** Not `instanceof`: there are signals of other realms. */
export const signal: Rule = when(
  (value) =>
    typeof (value as AbortSignal | null)?.aborted === 'boolean' &&
    typeof (value as AbortSignal).addEventListener === 'function',
  'must be an AbortSignal',
);
export const address: Rule = when(
  (value) => words((value as { host?: unknown } | null)?.host) === null && isPort((value as { port?: unknown }).port),
  'must have a host and a port from 1 to 65535',
);

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535;
}
