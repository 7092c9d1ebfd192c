/** Test data that looks random, is the same on every machine, and costs little: AES-CTR over zeros, keyed by a seed. */
import { createCipheriv, createHash } from 'node:crypto';
import { chmod, mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';

const STEP_BYTES = 4 * 1024 * 1024;
const ZEROS = Buffer.alloc(STEP_BYTES);

/** An endless stream of bytes; the same seed gives the same stream. */
export class SeededBytes {
  readonly #cipher;

  constructor(seed: number | string) {
    const key = createHash('sha256').update(String(seed)).digest();
    this.#cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  }

  next(length: number): Buffer {
    if (length <= STEP_BYTES) return this.#cipher.update(ZEROS.subarray(0, length));
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += STEP_BYTES) {
      this.#cipher.update(ZEROS.subarray(0, Math.min(STEP_BYTES, length - at))).copy(bytes, at);
    }
    return bytes;
  }
}

export function seededBytes(seed: number | string, length: number): Buffer {
  return new SeededBytes(seed).next(length);
}

/** Writes a file of exactly `lengthBytes` seeded bytes, a few megabytes at a time. */
export async function writeSeededFile(file: string, lengthBytes: number, seed: number | string): Promise<void> {
  const source = new SeededBytes(seed);
  const handle = await open(file, 'w');
  try {
    for (let at = 0; at < lengthBytes; at += STEP_BYTES) {
      await handle.writeFile(source.next(Math.min(STEP_BYTES, lengthBytes - at)));
    }
  } finally {
    await handle.close();
  }
}

export interface TreeFile {
  /** Relative to the tree's root, with '/'. */
  readonly path: string;
  readonly lengthBytes: number;
  readonly isExecutable?: boolean;
}

/** Names and lengths that have bitten clients: empty, one byte, around a block, unicode, deep, leading dot, spaces. */
export const AWKWARD_FILES: readonly TreeFile[] = [
  { path: 'a-empty', lengthBytes: 0 },
  { path: 'bin/tool.sh', lengthBytes: 1_234, isExecutable: true },
  { path: 'block', lengthBytes: 16_384 },
  { path: 'block-less-one', lengthBytes: 16_383 },
  { path: 'block-more-one', lengthBytes: 16_385 },
  { path: 'deep/er/and/deeper/still/leaf.txt', lengthBytes: 77 },
  { path: 'deep/er/empty', lengthBytes: 0 },
  { path: 'grüße/日本語/файл.bin', lengthBytes: 40_000 },
  { path: 'one', lengthBytes: 1 },
  { path: 'with space/.hidden', lengthBytes: 300_001 },
  { path: 'z-empty', lengthBytes: 0 },
];

/** Writes a tree of seeded files below `root`. */
export async function writeTree(root: string, files: readonly TreeFile[], seed: number | string): Promise<void> {
  for (const file of files) {
    const target = path.join(root, file.path);
    await mkdir(path.dirname(target), { recursive: true });
    if (file.lengthBytes > STEP_BYTES) await writeSeededFile(target, file.lengthBytes, `${seed}/${file.path}`);
    else await writeFile(target, seededBytes(`${seed}/${file.path}`, file.lengthBytes));
    if (file.isExecutable === true) await chmod(target, 0o755);
  }
}
