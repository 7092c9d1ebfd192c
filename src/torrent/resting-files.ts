/** What the files of a seed looked like when it lay down, or was complete: 48 bytes each. Pure. */
import { ABSENT, type FileStamp, isSameInode, isUnchanged } from '../work/file-stamp.js';

const FIELDS = 6;

/**
 * `written`: the same files, as long as they were, but somebody may have written to one since: when it was written can
 * be set to any time, when that was done can not.
 */
export type FilesVerdict = 'same' | 'written' | { readonly file: number; readonly isGone: boolean };

export class RestingFiles {
  /** Six numbers of 64 bits each, a byte a character: a short array of V8 is four times as large as this. */
  readonly #bytes: string;
  #next = 0;

  /** @param stamps one for each file; -1 as length where none is stored */
  constructor(stamps: readonly FileStamp[]) {
    const numbers = new BigInt64Array(stamps.length * FIELDS);
    stamps.forEach(({ device, inode, birthNs, sizeBytes, mtimeNs, ctimeNs = 0n }, file) => {
      numbers.set([device, inode, birthNs, BigInt(sizeBytes), mtimeNs, ctimeNs].map(asSigned), file * FIELDS);
    });
    this.#bytes = Buffer.from(numbers.buffer).toString('latin1');
  }

  get #numbers(): BigInt64Array {
    const { buffer, byteOffset, length } = Uint8Array.from(Buffer.from(this.#bytes, 'latin1'));
    return new BigInt64Array(buffer, byteOffset, length / 8);
  }

  get stamps(): readonly FileStamp[] {
    const numbers = this.#numbers;
    return Array.from({ length: numbers.length / FIELDS }, (_, file) => stampOf(numbers, file));
  }

  /** The next `count` stored files; after the last comes the first again. */
  turn(count: number): number[] {
    const numbers = this.#numbers;
    const all = numbers.length / FIELDS;
    const turn: number[] = [];
    for (let looked = 0; looked < all && turn.length < count; looked++) {
      if (numbers[this.#next * FIELDS + 3]! >= 0n) turn.push(this.#next);
      this.#next = (this.#next + 1) % all;
    }
    return turn;
  }

  /** @param now by file; @param files those to be compared, default: all */
  judge(now: readonly FileStamp[], files?: readonly number[]): FilesVerdict {
    const numbers = this.#numbers;
    let verdict: FilesVerdict = 'same';
    for (const file of files ?? this.turn(Number.POSITIVE_INFINITY)) {
      const then = stampOf(numbers, file);
      const found = now[file] ?? ABSENT;
      if (!isSameInode(found, then) || found.sizeBytes !== then.sizeBytes) return { file, isGone: found.sizeBytes < 0 };
      if (!isUnchanged(found, then) || found.ctimeNs !== then.ctimeNs) verdict = 'written';
    }
    return verdict;
  }
}

function stampOf(numbers: BigInt64Array, file: number): FileStamp {
  const [device, inode, birthNs, sizeBytes, mtimeNs, ctimeNs] = numbers.subarray(file * FIELDS, (file + 1) * FIELDS);
  return {
    device: BigInt.asUintN(64, device!),
    inode: BigInt.asUintN(64, inode!),
    birthNs: birthNs!,
    sizeBytes: Number(sizeBytes),
    mtimeNs: mtimeNs!,
    ctimeNs: ctimeNs!,
  };
}

function asSigned(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}
