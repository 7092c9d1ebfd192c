/** What the files of a resting seed looked like when it lay down: 48 bytes each. Pure. */
import { ABSENT, type FileStamp, isSameInode, isUnchanged } from '../work/file-stamp.js';

const FIELDS = 6;

/**
 * `written`: the same files, as long as they were, but somebody may have written to one since: when it was written can
 * be set to any time, when that was done can not.
 */
export type FilesVerdict = 'same' | 'written' | { readonly file: number; readonly isGone: boolean };

export class RestingFiles {
  readonly #numbers: BigInt64Array;
  #next = 0;

  /** @param stamps one for each file; -1 as length where none is stored */
  constructor(stamps: readonly FileStamp[]) {
    this.#numbers = new BigInt64Array(stamps.length * FIELDS);
    stamps.forEach(({ device, inode, birthNs, sizeBytes, mtimeNs, ctimeNs = 0n }, file) => {
      this.#numbers.set([device, inode, birthNs, BigInt(sizeBytes), mtimeNs, ctimeNs].map(asSigned), file * FIELDS);
    });
  }

  get stamps(): readonly FileStamp[] {
    return Array.from({ length: this.#numbers.length / FIELDS }, (_, file) => this.#stamp(file));
  }

  /** The next `count` stored files; after the last comes the first again. */
  turn(count: number): number[] {
    const all = this.#numbers.length / FIELDS;
    const turn: number[] = [];
    for (let looked = 0; looked < all && turn.length < count; looked++) {
      if (this.#numbers[this.#next * FIELDS + 3]! >= 0n) turn.push(this.#next);
      this.#next = (this.#next + 1) % all;
    }
    return turn;
  }

  /** @param now by file; @param files those to be compared, default: all */
  judge(now: readonly FileStamp[], files?: readonly number[]): FilesVerdict {
    let verdict: FilesVerdict = 'same';
    for (const file of files ?? this.turn(Number.POSITIVE_INFINITY)) {
      const then = this.#stamp(file);
      const found = now[file] ?? ABSENT;
      if (!isSameInode(found, then) || found.sizeBytes !== then.sizeBytes) return { file, isGone: found.sizeBytes < 0 };
      if (!isUnchanged(found, then) || found.ctimeNs !== then.ctimeNs) verdict = 'written';
    }
    return verdict;
  }

  #stamp(file: number): FileStamp {
    const numbers = this.#numbers.subarray(file * FIELDS, (file + 1) * FIELDS);
    const [device, inode, birthNs, sizeBytes, mtimeNs, ctimeNs] = numbers;
    return {
      device: BigInt.asUintN(64, device!),
      inode: BigInt.asUintN(64, inode!),
      birthNs: birthNs!,
      sizeBytes: Number(sizeBytes),
      mtimeNs: mtimeNs!,
      ctimeNs: ctimeNs!,
    };
  }
}

function asSigned(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}
