/** A check of everything that a user asked for: how far it is, and what became of it when it was called off. */
import type { AddOptions, RecheckOptions } from '../api.js';
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { SessionOptions } from './changes.js';
import { whenAborted } from './endings.js';
import type { RestingFiles } from './resting-files.js';

export interface CheckOwner {
  readonly metainfo: Metainfo;
  stats(): { readonly wantedBytes: number };
  /** It is called off: goes on as before, and calls `check.isCut` true when that has been done. */
  cutShort(check: Check): void;
}

export class Check {
  /** The files of a seed as they were noted before. */
  files: RestingFiles | null = null;
  /** It ended before its time, and the torrent goes on without it. */
  isCut = false;
  readonly #owner: CheckOwner;
  readonly #options: RecheckOptions;
  readonly #unwatch: () => void;
  #thrown: { readonly error: unknown } | null = null;
  #totalBytes = -1;

  /** @throws HaulError ABORTED */
  constructor(owner: CheckOwner, options: RecheckOptions) {
    this.#owner = owner;
    this.#options = options;
    if (options.signal?.aborted === true) throw this.#aborted();
    this.#unwatch = whenAborted(options.signal, () => owner.cutShort(this));
  }

  /** Of a session that believes nothing. */
  optionsOf(options: AddOptions): SessionOptions {
    return { ...options, trustData: false, hashesAll: true, onChecked: (count) => this.checked(count) };
  }

  checked(pieceCount: number): void {
    const { onProgress } = this.#options;
    if (onProgress === undefined || this.#thrown !== null || this.#options.signal?.aborted === true) return;
    if (this.#totalBytes < 0) this.#totalBytes = this.#owner.stats().wantedBytes;
    const doneBytes = Math.min(this.#totalBytes, this.#owner.metainfo.geometry.bytesOf(pieceCount, false));
    try {
      onProgress(doneBytes, this.#totalBytes);
    } catch (error) {
      this.#thrown = { error };
      this.#owner.cutShort(this);
    }
  }

  /** @throws what its user threw; HaulError ABORTED */
  throwIfCut(): void {
    if (!this.isCut) return;
    throw this.#thrown === null ? this.#aborted() : this.#thrown.error;
  }

  end(): void {
    this.#unwatch();
  }

  #aborted(): HaulError {
    return new HaulError('ABORTED', `check ${this.#owner.metainfo.name}: it was stopped, and all is as before`);
  }
}
