/** The content of a torrent on this machine's disks: names the storage, the record and the hash check. */
import { statfs } from 'node:fs/promises';
import { recheckFiles } from '../content/recheck.js';
import type { HaulError } from '../errors.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import { fileSystemOf } from '../native/file-systems.js';
import type { StorageMemory } from '../storage/memory.js';
import { type MovedData, moveData } from '../storage/move-data.js';
import { mayMove } from '../storage/move-target.js';
import { explainNoSpace } from '../storage/no-space.js';
import { openStorage } from '../storage/open.js';
import { whenRoom } from '../storage/patience.js';
import { claimPlace } from '../storage/places.js';
import type { Storage, StorageKind } from '../storage/port.js';
import { type Claim, loadResume, type ResumeVerdict, removePartFile, saveResume } from '../storage/resume.js';
import { stampFiles } from '../storage/stamp-files.js';
import { syncData } from '../storage/sync-data.js';
import type { CheckOptions, Content, ContentOf, MoveRequest, Place } from '../torrent/content.js';
import type { FileStamp } from '../work/file-stamp.js';
import type { WorkPool } from '../work/port.js';
import { SourceContent } from './source-content.js';

/** What the contents of an engine share. */
export interface Disks {
  readonly pool: WorkPool;
  readonly memory: StorageMemory;
  readonly kind: StorageKind | 'auto';
  /** In the place of ours. */
  readonly openStorage?: OpenStorage | undefined;
}

export type OpenStorage = (
  metainfo: Metainfo,
  output: string,
  forWriting: boolean,
  selection: Selection | null,
) => Promise<Storage>;

export function contentOf(disks: Disks, ...[metainfo, output, selection, source]: Parameters<ContentOf>): Content {
  if (source !== undefined) return new SourceContent(metainfo, source, disks.memory);
  return new DiskContent(disks, metainfo, output, selection);
}

export class DiskContent implements Content {
  readonly #disks: Disks;
  readonly #metainfo: Metainfo;
  readonly #output: string;
  readonly #selection: Selection | null;
  /** As the record says that was loaded. */
  #leftOut: ReadonlyMap<number, FileStamp> | undefined;

  constructor(disks: Disks, metainfo: Metainfo, output: string, selection: Selection | null) {
    this.#disks = disks;
    this.#metainfo = metainfo;
    this.#output = output;
    this.#selection = selection;
  }

  claim(isWriting: boolean): Promise<Place> {
    return claimPlace(this.#metainfo, this.#output, isWriting);
  }

  open(forWriting: boolean): Promise<Storage> {
    const { pool, memory, kind, openStorage: other } = this.#disks;
    const [metainfo, output, selection] = [this.#metainfo, this.#output, this.#selection];
    return other === undefined
      ? openStorage({ metainfo, output, pool, kind, forWriting, selection, memory })
      : other(metainfo, output, forWriting, selection);
  }

  stamp(only?: readonly number[]): Promise<readonly FileStamp[]> {
    return stampFiles(this.#metainfo, this.#output, this.#selection, only);
  }

  async loadResume(): Promise<ResumeVerdict> {
    const verdict = await loadResume(this.#metainfo, this.#output, this.#selection);
    this.#leftOut = verdict.leftOut;
    return verdict;
  }

  saveResume(claim: Claim): Promise<void> {
    return whenRoom(() => saveResume(this.#metainfo, this.#output, claim, this.#selection, this.#leftOut));
  }

  removePartFile(): Promise<void> {
    return removePartFile(this.#metainfo, this.#output);
  }

  async recheck(options: CheckOptions): Promise<Bitfield> {
    const stamps = (await hasLastingInodes(this.#output)) ? options.stamps : undefined;
    const all = { ...options, stamps, selection: this.#selection };
    return (await recheckFiles(this.#metainfo, this.#output, this.#disks.pool, all)).good;
  }

  sync(): Promise<void> {
    return syncData(this.#metainfo, this.#output, this.#selection);
  }

  mayMove(folder: string): Promise<boolean> {
    return mayMove(this.#metainfo, this.#output, folder);
  }

  move(folder: string, request: MoveRequest): Promise<MovedData | null> {
    const [metainfo, from, selection] = [this.#metainfo, this.#output, this.#selection];
    return moveData({ ...request, metainfo, from, to: folder, selection, space: this.#disks.memory.space });
  }

  explain(error: HaulError): HaulError {
    return explainNoSpace(error, this.#output);
  }
}

/** False where the file system gives files new numbers at will, or nobody can tell. */
async function hasLastingInodes(output: string): Promise<boolean> {
  const volume = await statfs(output).catch(() => null);
  return volume !== null && fileSystemOf(volume.type).makesUpInodes !== true;
}
