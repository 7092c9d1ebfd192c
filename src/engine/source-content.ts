/** The content of a seed that is read from a source: nothing of it is on our disks, and nothing of it is written. */
import type { ContentSource } from '../api.js';
import { HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { StorageMemory } from '../storage/memory.js';
import type { MovedData } from '../storage/move-data.js';
import type { Storage } from '../storage/port.js';
import type { ResumeVerdict } from '../storage/resume.js';
import { SourceStorage, stampsOf } from '../storage/source.js';
import type { CheckOptions, Content, Place } from '../torrent/content.js';
import type { FileStamp } from '../work/file-stamp.js';

export class SourceContent implements Content {
  readonly #metainfo: Metainfo;
  readonly #source: ContentSource;
  readonly #memory: StorageMemory;

  constructor(metainfo: Metainfo, source: ContentSource, memory: StorageMemory) {
    this.#metainfo = metainfo;
    this.#source = source;
    this.#memory = memory;
  }

  /** No place is taken. */
  async claim(): Promise<Place> {
    return { share: async () => {}, release: async () => {} };
  }

  async open(forWriting: boolean): Promise<Storage> {
    if (forWriting) throw this.#hasNoFiles('written');
    return new SourceStorage(this.#metainfo, this.#source, this.#memory);
  }

  async stamp(): Promise<readonly FileStamp[]> {
    return stampsOf(this.#metainfo);
  }

  loadResume(): Promise<ResumeVerdict> {
    return Promise.reject(this.#hasNoFiles('downloaded'));
  }

  async saveResume(): Promise<void> {}

  async removePartFile(): Promise<void> {}

  /** Whoever reads it answers for its bytes. */
  async recheck({ only, onProgress }: CheckOptions): Promise<Bitfield> {
    onProgress(only.count);
    return new Bitfield(only.bitCount, only.bytes);
  }

  async sync(): Promise<void> {}

  mayMove(): Promise<boolean> {
    return Promise.reject(this.#hasNoFiles('moved'));
  }

  move(): Promise<MovedData | null> {
    return Promise.reject(this.#hasNoFiles('moved'));
  }

  explain(error: HaulError): HaulError {
    return error;
  }

  #hasNoFiles(what: string): HaulError {
    const message = `${this.#metainfo.name} is seeded from a source, not from files: it cannot be ${what}`;
    return new HaulError('BAD_ARGUMENT', message, { option: 'source' });
  }
}
