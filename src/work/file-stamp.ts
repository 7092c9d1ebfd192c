/** What is remembered of a file to know it again: which file it is, how long, and when it was last written. */

export interface FileStamp {
  /** With `inode` 0 where the file system gives a file new numbers at will. */
  readonly device: bigint;
  readonly inode: bigint;
  /** When it was made: an inode number is given out again once its file is deleted. 0: not known. */
  readonly birthNs: bigint;
  /** -1: there is no such file. */
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** When anything of it was changed last, its times and mode too; not recorded, and not part of its likeness. */
  readonly ctimeNs?: bigint;
}

/** A file that is not there, or that is not the one in use. It equals nothing, not even itself. */
export const ABSENT: FileStamp = { device: 0n, inode: 0n, birthNs: 0n, sizeBytes: -1, mtimeNs: 0n };

/** The time of a file that is the one in use but not whole: its stamp tells whose it is, and equals nothing. */
const NEVER = -1n;

export function spoiled(stamp: FileStamp): FileStamp {
  return { ...stamp, mtimeNs: NEVER };
}

/** False: nothing that lies in this file may be recorded. */
export function isUsable(stamp: FileStamp): boolean {
  return stamp.sizeBytes >= 0 && stamp.mtimeNs !== NEVER;
}

export function isSameBirth(a: bigint, b: bigint): boolean {
  return a === 0n || b === 0n || a === b;
}

/** The same file: device, inode and birth where both are known. */
export function isSameInode(a: FileStamp, b: FileStamp): boolean {
  if (a.sizeBytes < 0 || b.sizeBytes < 0) return false;
  if (a.inode === 0n || b.inode === 0n) return true;
  return a.inode === b.inode && a.device === b.device && isSameBirth(a.birthNs, b.birthNs);
}

/** The same file, as long as it was and not written since. */
export function isUnchanged(now: FileStamp, then: FileStamp | undefined): boolean {
  if (then === undefined || !isUsable(then) || !isSameInode(now, then)) return false;
  return now.sizeBytes === then.sizeBytes && now.mtimeNs === then.mtimeNs;
}
