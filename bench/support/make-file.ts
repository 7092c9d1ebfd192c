/**
 * A file of N bytes that look random and are the same for the same seed: no two blocks are equal, nothing compresses.
 * As a program: make-file FILE BYTES [SEED], where BYTES may end in K, M or G.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSeededFile } from '../../lab/data.js';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** '512M' to bytes; NaN when it is not a length. */
export function parseLength(text: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!]!;
}

export const makeFile = writeSeededFile;

async function main(): Promise<void> {
  const [file, length = '', seed = '1'] = process.argv.slice(2);
  const lengthBytes = parseLength(length);
  if (file === undefined || Number.isNaN(lengthBytes)) {
    process.stderr.write('usage: make-file FILE BYTES[K|M|G] [SEED]\n');
    process.exitCode = 2;
    return;
  }
  await makeFile(file, lengthBytes, seed);
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
