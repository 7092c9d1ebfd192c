/**
 * Storage of a seed whose bytes come from somewhere else than files: whoever adds it reads them. Nothing is written.
 * What was read is kept in memory as long as it is of use, like that of files without mapping.
 */
import { setMaxListeners } from 'node:events';
import type { ContentSource } from '../api.js';
import { HaulError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { FileStamp } from '../work/file-stamp.js';
import { DEFAULT_BUDGETS } from './budgets.js';
import { forEachConcurrently } from './concurrently.js';
import type { FilesNow } from './identities.js';
import type { StorageMemory } from './memory.js';
import type { Suspect } from './other-writers.js';
import type { Storage } from './port.js';
import { RunningTransfers } from './running-transfers.js';
import { SlabUnits } from './slab-units.js';

/** Of one unit, which may touch many short files. */
const FILES_AT_ONCE = 8;

/** There are no files that could change. */
export function stampsOf({ files }: Metainfo): FileStamp[] {
  const stamp = (sizeBytes: number): FileStamp => ({ device: 0n, inode: 0n, birthNs: 0n, sizeBytes, mtimeNs: 0n });
  return [...files.map(({ lengthBytes }) => stamp(lengthBytes)), stamp(0)];
}

export class SourceStorage implements Storage {
  readonly kind = 'positional';
  onRoom: (() => void) | null = null;
  onPiecesWanted: (() => void) | null = null;
  onReadable: (() => void) | null = null;
  onError: ((error: HaulError) => void) | null = null;
  readonly roomPieces = 0;
  readonly mostPieces = 2;
  readonly isBehind = false;
  readonly isShortOfMemory = false;
  readonly suspects: readonly Suspect[] = [];
  readonly files: Storage['files'];
  readonly reads: SlabUnits;
  readonly #metainfo: Metainfo;
  readonly #source: ContentSource;
  readonly #running = new RunningTransfers();
  readonly #ending = new AbortController();
  #closing: Promise<void> | null = null;

  constructor(metainfo: Metainfo, source: ContentSource, memory: StorageMemory) {
    this.#metainfo = metainfo;
    this.#source = source;
    // As many reads listen to it as run at once.
    setMaxListeners(0, this.#ending.signal);
    this.files = { read: (file, beginBytes, target) => this.#readFile(file, beginBytes, target) };
    this.reads = new SlabUnits(this, {
      geometry: metainfo.geometry,
      budgets: DEFAULT_BUDGETS,
      memory,
      where: metainfo.name,
      running: this.#running,
      hasRoom: () => true,
      read: (beginBytes, { region, beginBytes: at }, lengthBytes) =>
        this.#read(beginBytes, region.buffer.subarray(at, at + lengthBytes)),
    });
  }

  async prepare(): Promise<void> {}

  async inspect(): Promise<FilesNow> {
    return { stamps: stampsOf(this.#metainfo), trouble: null };
  }

  async glance(): Promise<HaulError | null> {
    return null;
  }

  async sync(): Promise<readonly PieceIndex[]> {
    return [];
  }

  freeHeldWrites(): void {}

  acquit(): void {}

  hasOtherWriter(): boolean {
    return false;
  }

  openPiece(): boolean {
    throw readOnly();
  }

  fillPiece(): void {
    throw readOnly();
  }

  keepUnfinished(): Promise<void> {
    return Promise.reject(readOnly());
  }

  store(): void {
    throw readOnly();
  }

  verifyPiece(): void {
    throw readOnly();
  }

  digestBlocks(): void {
    throw readOnly();
  }

  closePiece(): void {
    throw readOnly();
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.reads.refuse();
    this.#ending.abort();
    while (this.#running.size > 0) await this.#running.idle();
    this.reads.close();
  }

  /** Bytes of the torrent, which may be of several files, and padding between them. */
  async #read(beginBytes: number, target: Buffer): Promise<void> {
    const { files } = this.#metainfo;
    const endBytes = beginBytes + target.length;
    const parts: { readonly file: number; readonly at: number; readonly target: Buffer }[] = [];
    for (let file = firstAt(files, beginBytes); file < files.length && files[file]!.beginBytes < endBytes; file++) {
      const { beginBytes: fileBegin, lengthBytes, isPad } = files[file]!;
      const from = Math.max(fileBegin, beginBytes);
      const part = target.subarray(from - beginBytes, Math.min(fileBegin + lengthBytes, endBytes) - beginBytes);
      if (isPad) part.fill(0);
      else if (part.length > 0) parts.push({ file, at: from - fileBegin, target: part });
    }
    await forEachConcurrently(parts, FILES_AT_ONCE, (part) => this.#readFile(part.file, part.at, part.target));
  }

  async #readFile(file: number, beginBytes: number, target: Uint8Array): Promise<void> {
    if (this.#closing !== null) throw new HaulError('CLOSED', 'the torrent is closed');
    try {
      await this.#source.read(file, beginBytes, target, this.#ending.signal);
    } catch (error) {
      throw whatFailed(error, this.#metainfo.name);
    }
  }
}

/** The last file that begins there or before. */
function firstAt(files: Metainfo['files'], beginBytes: number): number {
  let [low, high] = [0, files.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (files[middle]!.beginBytes <= beginBytes) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** What a network does wrong may pass: the swarm waits, as for a disk that is away for a moment. */
function whatFailed(error: unknown, name: string): HaulError {
  if (HaulError.is(error) && error.code !== 'NETWORK') return error;
  const why = error instanceof Error ? error.message : String(error);
  return new HaulError('IO', `read ${name}: ${why}`, { errno: HaulError.is(error) ? 'ETIMEDOUT' : 'EIO' });
}

function readOnly(): Error {
  return new Error('a seed from a source is not written');
}
