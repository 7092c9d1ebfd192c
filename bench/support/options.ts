/**
 * The values of bench options. Every parser throws `ValueError`, which names the option; `run.ts` tells it in a line
 * and ends with 2.
 */
import { mkdir } from 'node:fs/promises';
import { ValueError } from '../../src/cli/values.js';
import { fromSystemError } from '../../src/errors.js';
import { parseLength } from './make-file.js';

/** '1M,4M' or repeated options: the values of a sweep. */
export function list(values: readonly string[] | string): string[] {
  return (typeof values === 'string' ? [values] : values)
    .flatMap((value) => value.split(','))
    .filter((value) => value !== '');
}

/** One value at least. */
function every<T>(option: string, values: readonly string[] | string, parse: (option: string, text: string) => T): T[] {
  const texts = list(values);
  if (texts.length === 0) throw new ValueError(`--${option} has no value`);
  return texts.map((text) => parse(option, text));
}

/** Bytes. */
export function length(option: string, text: string): number {
  const bytes = parseLength(text);
  if (!(bytes > 0 && Number.isSafeInteger(bytes)))
    throw new ValueError(`--${option} ${text} is not a length: write 256K, 1M or 8G`);
  return bytes;
}

export function count(option: string, text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (!(number > 0 && Number.isSafeInteger(number)))
    throw new ValueError(`--${option} ${text} is not a whole number above 0`);
  return number;
}

export function positive(option: string, text: string): number {
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (!(number > 0)) throw new ValueError(`--${option} ${text} is not a number above 0`);
  return number;
}

export function oneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((each) => each === text);
  if (found === undefined) throw new ValueError(`--${option} ${text}: it is one of ${known.join(', ')}`);
  return found;
}

export const lengths = (option: string, values: readonly string[] | string): number[] => every(option, values, length);
export const counts = (option: string, values: readonly string[] | string): number[] => every(option, values, count);

export function someOf<T extends string>(option: string, values: readonly string[] | string, known: readonly T[]): T[] {
  return every(option, values, (_, text) => oneOf(option, text, known));
}

/** The folder of `--folder`, made where it is missing. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new ValueError(`--folder ${fromSystemError(error, 'make', folder).message}`);
  }
}
