/**
 * A seed that nobody has wanted for a while rests: it gives up its storage, exchange and tables, and keeps its place,
 * its trackers, the addresses it knows and what its files looked like. Who shakes hands for it wakes it. For its user
 * nothing changes: it seeds.
 *
 * Invariant: it rises only over the very files it lay down with. One that is gone, replaced or of another length ends
 * the torrent, as it would have awake; one that somebody wrote to is hashed before anything of it is served.
 */
import { join } from 'node:path';
import { DEFAULTS } from '../config.js';
import { HaulError } from '../errors.js';
import { Bitfield } from '../metainfo/bitfield.js';
import type { Storage } from '../storage/port.js';
import { RestingFiles } from './resting-files.js';
import type { Session } from './session.js';
import { Turns } from './turns.js';
import { lookOnDisk } from './workings.js';

/** After a backup all seeds may have to be hashed, and strangers choose when: a few at once, in this process. */
const hashing = new Turns(2);

export class Rest {
  readonly #torrent: Session;
  #files: RestingFiles | null = null;
  #idleSinceMs: number | null = null;
  #isBusy = false;
  /** Null: nothing is under way. */
  #steps: Promise<void> | null = null;
  #rising: Promise<void> | null = null;

  constructor(torrent: Session) {
    this.#torrent = torrent;
  }

  get isResting(): boolean {
    return this.#files !== null;
  }

  /** When it may lie down; Infinity: it rests, or something is in the way. */
  get dueAtMs(): number {
    if (this.#files !== null || this.#idleSinceMs === null) return Number.POSITIVE_INFINITY;
    return this.#idleSinceMs + this.#torrent.environment.restAfterMs;
  }

  /** Once a second, or as often as a quiet torrent is visited. */
  tick(nowMs: number): void {
    if (this.#isBusy) return;
    if (this.#files !== null) void this.#step(() => this.#glance());
    else if (!this.#torrent.canRest) this.#idleSinceMs = null;
    else {
      this.#idleSinceMs ??= nowMs;
      if (nowMs >= this.dueAtMs) void this.#step(() => this.#lieDown());
    }
  }

  /**
   * Resolves when it takes peers again, or has ended. Never rejects.
   * @param onHashing its files are hashed first: that may take long
   */
  rise(onHashing: () => void): Promise<void> {
    if (this.#files === null) return this.settled();
    this.#rising ??= this.#step(() => this.#rise(onHashing)).finally(() => {
      this.#rising = null;
    });
    return this.#rising;
  }

  /** Resolves when nothing of it is under way. */
  settled(): Promise<void> {
    return this.#steps ?? Promise.resolve();
  }

  #step(run: () => Promise<void>): Promise<void> {
    const steps = this.settled().then(async () => {
      this.#isBusy = true;
      try {
        await run();
      } catch (error) {
        this.#torrent.restFailed(error);
      }
      this.#isBusy = false;
      if (this.#steps === steps) this.#steps = null;
    });
    this.#steps = steps;
    return steps;
  }

  async #lieDown(): Promise<void> {
    const { storage } = this.#torrent;
    if (storage === null) return;
    const { stamps, trouble } = await storage.inspect();
    if (trouble !== null) throw trouble;
    // A peer may have come meanwhile.
    if (!this.#torrent.canRest) return;
    this.#files = new RestingFiles(stamps);
    this.#idleSinceMs = null;
    this.#torrent.layDown();
    await storage.close();
    this.#torrent.environment.log('debug', `${this.#torrent.metainfo.name}: rests`);
  }

  /** One that is gone or another one now is told without waiting for a peer; it rises, and that fails. */
  async #glance(): Promise<void> {
    const { content } = this.#torrent;
    const files = this.#files;
    if (files === null) return;
    const turn = files.turn(DEFAULTS.filesWatchedPerSecond);
    const verdict = files.judge(await content.stamp(turn), turn);
    if (typeof verdict === 'object') throw this.#changed(verdict.file, verdict.isGone);
  }

  async #rise(onHashing: () => void): Promise<void> {
    const { condition, isStopping } = this.#torrent;
    const files = this.#files;
    if (files === null || isStopping) return;
    const storage = await condition.patiently(() => this.#openSame(files, onHashing), this.#torrent.signal);
    if (storage === null) return;
    if (this.#torrent.isStopping) {
      await storage.close();
      return;
    }
    this.#files = null;
    this.#torrent.takeUp(storage);
  }

  /** Null: it is being stopped. @throws HaulError */
  async #openSame(files: RestingFiles, onHashing: () => void): Promise<Storage | null> {
    const { content, environment, metainfo, signal } = this.#torrent;
    const verdict = files.judge(await content.stamp());
    if (typeof verdict === 'object') throw this.#changed(verdict.file, verdict.isGone);
    const isSame = verdict === 'same';
    if (!isSame) environment.log('warn', `${metainfo.name}: a file was written to while it rested; it is hashed again`);
    const onDisk = lookOnDisk(this.#torrent, {
      have: new Bitfield(metainfo.geometry.pieceCount),
      isSeed: true,
      trustsData: isSame,
      hashed: isSame ? files.stamps : null,
      overwrites: false,
    });
    if (isSame) return onDisk.open();
    onHashing();
    this.#torrent.enter('checking');
    return hashing.run(() => onDisk.open(), signal);
  }

  #changed(file: number, isGone: boolean): HaulError {
    const { metainfo, output } = this.#torrent;
    const path = join(output, ...(metainfo.files[file]?.path ?? []));
    const again = 'run the same command again';
    return isGone
      ? new HaulError('NOT_FOUND', `${path} is gone: it was removed or moved while it was in use; ${again}`, { path })
      : new HaulError('BAD_DATA', `${path} is another file now: it was replaced while it was in use; ${again}`, {
          path,
        });
  }
}
