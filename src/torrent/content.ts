/**
 * The data of a torrent where it lies: everything that takes the torrent, the folder and the selection is asked of one
 * object.
 */
import type { ContentSource } from '../api.js';
import type { HaulError } from '../errors.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import type { MovedData } from '../storage/move-data.js';
import type { Storage } from '../storage/port.js';
import type { Claim, ResumeVerdict } from '../storage/resume.js';
import type { FileStamp } from '../work/file-stamp.js';

/** Where a torrent's data lies: one writer, or any number of readers, whatever engine or process they are in. */
export interface Place {
  /** The download is complete: others may read it too. @throws HaulError IN_USE: somebody else took it meanwhile */
  share(): Promise<void>;
  release(): Promise<void>;
}

export interface CheckOptions {
  readonly only: Bitfield;
  /** The files as they were looked at, the part file last: others in their places are not hashed. Default: any. */
  readonly stamps?: readonly FileStamp[];
  /** Trouble in reading is thrown. Default: a piece that cannot be read is bad. */
  readonly isStrict?: boolean;
  readonly onProgress: (checkedPieces: number) => void;
  readonly signal: AbortSignal;
}

export interface MoveRequest {
  readonly isSeed: boolean;
  /** The files that a seed uses, as they were noted last; null: not known. */
  readonly stamps: readonly FileStamp[] | null;
  /** Pieces that were good when it ran last; null: it did not. */
  readonly have: Bitfield | null;
  /** Heeded until all is at the new place. */
  readonly signal: AbortSignal;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export interface Content {
  /** @throws HaulError IN_USE naming the owner */
  claim(isWriting: boolean): Promise<Place>;
  /** Touches nothing yet: `prepare` of the storage does. @throws HaulError */
  open(forWriting: boolean): Promise<Storage>;
  /** Files as they are now, under their own names; the part file last. Of `only` these, the others are absent. */
  stamp(only?: readonly number[]): Promise<readonly FileStamp[]>;
  loadResume(): Promise<ResumeVerdict>;
  /** @throws HaulError */
  saveResume(claim: Claim): Promise<void>;
  /** Of an earlier selection; nothing happens where there is none. @throws HaulError */
  removePartFile(): Promise<void>;
  /** Hashes pieces. @returns those that are good @throws HaulError ABORTED, and with `isStrict` what reading meets */
  recheck(options: CheckOptions): Promise<Bitfield>;
  /** Forces what the files hold to the device, whoever wrote it. @throws HaulError */
  sync(): Promise<void>;
  /** False: that is the same place. @throws HaulError BAD_ARGUMENT, FILE_EXISTS: what a look at it tells */
  mayMove(folder: string): Promise<boolean>;
  /** To another folder; see `move-data.ts`. Null: that is the same place. @throws HaulError: all is where it was */
  move(folder: string, request: MoveRequest): Promise<MovedData | null>;
  /** The same error, or one that knows more of what is wrong with the disk. */
  explain(error: HaulError): HaulError;
}

/**
 * @param selection which files are left out and so where pieces lie; null: all files are there
 * @param source of a seed that has no files
 */
export type ContentOf = (
  metainfo: Metainfo,
  output: string,
  selection: Selection | null,
  source: ContentSource | undefined,
) => Content;
