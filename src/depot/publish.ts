/**
 * Publishing, reading and removing over a store and a catalogue. Invariant: a blob is removed only under its lock, and
 * only when no row names it; whoever is about to name one holds that lock from before the blob is there until its row
 * is. The lock is the catalogue's: it holds between all depots that share one. What a row names is durable before the
 * row is. What is noted beside a blob follows its rows (`notes.ts`).
 */
import { HaulError } from '../errors.js';
import { blobInfoHash, blobTorrent } from './blob-info.js';
import type { ArtifactRow, BlobLock, Catalogue, PutOutcome, RowFacts } from './catalogue/port.js';
import { rowOver, rowToJson } from './catalogue/row.js';
import { DEPOT_LIMITS } from './limits.js';
import { Locks } from './locks.js';
import { fileNameOf, shortName } from './names.js';
import { notedRow } from './noted-rows.js';
import { Notes } from './notes.js';
import type { PaceRule } from './pace.js';
import type { Depository, Published, PublishRequest } from './publish-port.js';
import { receive } from './receive.js';
import { isUnreadable } from './store/codes.js';
import type { BlobStore, BlobUpload, ByteRange, FinishedUpload } from './store/port.js';
import { Uses } from './uses.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const MIB = 1024 * 1024;
const SWEEP_AT_ONCE = 64;

export const DEPOT_DEFAULTS = {
  torrentFromBytes: 4 * MIB,
  blobBytesMax: DEPOT_LIMITS.artifactBytes,
  /** Slower than a modem for half a minute: gone, or holding us up on purpose. */
  pace: { bytesPerSec: 4 * 1024, windowMs: 30_000 },
} as const;

/** Told of torrents as rows come and go. */
export interface TorrentBook {
  /** A row has this torrent from now on; it may have had it before. */
  added(infoHash: string): void;
  /** No row has it any more. Resolves when nothing of it is in use. */
  removed(infoHash: string): Promise<void>;
}

/** Told of rows that are gone: torrents of folders hold them. */
export interface FolderBook {
  /** Resolves when nothing uses the blob because of that name. @param name full */
  released(name: string, sha256: string): Promise<void>;
}

export interface DepotOptions {
  readonly store: BlobStore;
  readonly catalogue: Catalogue;
  readonly torrents?: TorrentBook | null;
  readonly folders?: FolderBook | null;
  /** Blobs below have no torrent. Bytes; default 4 MiB. */
  readonly torrentFromBytes?: number;
  /** Longest blob, bytes; default 16 TiB. */
  readonly blobBytesMax?: number;
  readonly pace?: PaceRule;
  /** What a name without a wish of its own gets; null (default): it stays. */
  readonly retentionDays?: number | null;
  /** A blob that may be nobody's was left where it is, as that cannot be read. */
  readonly onLeft?: (error: HaulError) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Milliseconds that only go on. */
  readonly monotonic?: () => number;
}

export class Depot implements Depository {
  readonly #options: DepotOptions;
  readonly #store: BlobStore;
  readonly #catalogue: Catalogue;
  readonly #locks = new Locks();
  /** When names were read, of which the catalogue may not have heard yet. */
  readonly uses: Uses;
  readonly #notes: Notes;
  readonly #now: () => number;
  #isClosed = false;

  constructor(options: DepotOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#catalogue = options.catalogue;
    this.uses = new Uses({ catalogue: options.catalogue });
    this.#notes = new Notes({ ...options, locked: (sha256, body) => this.#locked(sha256, body) });
    this.#now = options.now ?? Date.now;
  }

  async publish(request: PublishRequest): Promise<Published> {
    this.#check();
    const { lengthBytes, name, retentionDays } = request;
    const lengthMax = this.#options.blobBytesMax ?? DEPOT_DEFAULTS.blobBytesMax;
    if (lengthBytes !== null && lengthBytes > lengthMax) throw tooLong(lengthMax);
    checkRetention(retentionDays);
    // What can be refused is refused before the body comes.
    const known = await this.#catalogue.get(name);
    if (request.onlyIfNew && known !== null) throw taken(known);
    const piecesFromBytes = this.#options.torrentFromBytes ?? DEPOT_DEFAULTS.torrentFromBytes;
    const options = { lengthBytes, piecesFromBytes, sha256: request.sha256 };
    const adopted = request.file === undefined ? null : ((await this.#store.adopt?.(request.file, options)) ?? null);
    const upload = adopted ?? (await this.#store.create(options));
    try {
      const rules = {
        lengthMax,
        tooLong,
        pace: this.#options.pace ?? DEPOT_DEFAULTS.pace,
        monotonic: this.#options.monotonic ?? (() => performance.now()),
      };
      if (adopted === null) await receive(request, upload, rules);
      const finished = await unlessAborted(request.signal, upload);
      if (request.sha256 !== null && request.sha256 !== finished.sha256) {
        const text = `the bytes have the SHA-256 ${finished.sha256}, not ${request.sha256}`;
        throw new HaulError('MISMATCH', text, { sha256: finished.sha256, expected: request.sha256 });
      }
      if (request.signal.aborted) throw new HaulError('ABORTED', 'the request was given up');
      return await this.#name(request, upload, finished);
    } finally {
      await upload.abort();
    }
  }

  async find(name: string): Promise<ArtifactRow | null> {
    const row = await this.#catalogue.get(name);
    // A depot over which a disk was mounted knows nothing of what is on it.
    if (row === null) await this.#store.check?.();
    // Another depot may have published it: who asks for it here is about to announce here.
    if (this.#catalogue.isShared && row?.infoHash != null) this.#options.torrents?.added(row.infoHash);
    return row;
  }

  read(row: ArtifactRow, range: ByteRange): AsyncIterable<Uint8Array> {
    this.uses.note(row.name, Math.floor(this.#now()));
    return this.#store.read(row.sha256, range);
  }

  async remove(name: string, onlyIf?: RowFacts): Promise<ArtifactRow | null> {
    this.#check();
    const mark = this.#notes.mark();
    const row = await this.#catalogue.remove(name, onlyIf, mark);
    if (row === null) await this.#store.check?.();
    else await this.#released(row, mark);
    return row;
  }

  async pin(name: string, isPinned: boolean): Promise<ArtifactRow | null> {
    this.#check();
    const mark = this.#notes.mark();
    const row = await this.#catalogue.pin(name, isPinned, mark);
    if (row === null) return null;
    const { sha256 } = row;
    await this.#locked(sha256, () => this.#notes.settle({ mark, sha256, name }));
    return row;
  }

  async torrent(row: ArtifactRow, announceUrl: string, webSeedUrl: string): Promise<Buffer | null> {
    if (row.infoHash === null) return null;
    const record = await this.#store.pieces(row.sha256);
    if (record === null) throw new HaulError('NOT_FOUND', `the blob ${row.sha256} is gone`, { sha256: row.sha256 });
    const { pieces, pieceLengthBytes, lengthBytes } = record;
    if (pieces === null || pieceLengthBytes === null) return null;
    return blobTorrent(fileNameOf(row.name), { pieces, pieceLengthBytes, lengthBytes }, announceUrl, webSeedUrl);
  }

  async collect(sha256: string): Promise<boolean> {
    // Most are: they need no lock.
    if (await this.#catalogue.isNamed(sha256)) return false;
    return this.#locked(sha256, async (lock) => {
      if (await this.#catalogue.isNamed(sha256)) return false;
      if (await this.#nameAgain(sha256)) return false;
      return this.#removeBlob(sha256, lock);
    });
  }

  /**
   * Under the lock, for a blob that no row names: what is noted beside it gets its rows again where nothing else has
   * the name, and the note is not marked. Its rows were lost with a part of the catalogue, or a publish was not
   * answered just before the depot ended: all may be.
   */
  async #nameAgain(sha256: string): Promise<boolean> {
    const noted = await this.#store.names(sha256);
    // Most have none: they go without being hashed.
    if (noted.size === 0) return false;
    const record = await this.#store.pieces(sha256).catch((error: unknown) => {
      if (HaulError.is(error) && error.code === 'BAD_DATA') return null;
      throw error;
    });
    if (record === null) return false;
    const marked = await this.#notes.marked(sha256);
    let isNamed = false;
    for (const [name, text] of noted) {
      if (marked.has(name)) continue;
      const row = notedRow(name, text, { sha256, lengthBytes: record.lengthBytes }, record);
      if (typeof row === 'string') continue;
      const { kind } = await this.#catalogue.put(row, { overwrite: false, onlyIfNew: true });
      if (kind !== 'created') continue;
      isNamed = true;
      if (row.infoHash !== null) this.#options.torrents?.added(row.infoHash);
    }
    return isNamed;
  }

  async sweep(): Promise<number> {
    await this.#notes.settleAll();
    let swept = 0;
    let group: Promise<boolean>[] = [];
    const settle = async (): Promise<void> => {
      for (const isGone of await Promise.all(group)) if (isGone) swept++;
      group = [];
    };
    for await (const { sha256 } of this.#store.list()) {
      // One that the disk does not give stays, and keeps no depot from starting.
      const collected = this.collect(sha256).catch((error: unknown) => {
        if (!isUnreadable(error)) throw error;
        this.#options.onLeft?.(error);
        return false;
      });
      // Told when the group is waited for.
      collected.catch(() => {});
      group.push(collected);
      if (group.length >= SWEEP_AT_ONCE) await settle();
    }
    await settle();
    return swept;
  }

  /** Ends what is under way and tells the catalogue what was used. Store and catalogue stay open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#locks.idle();
    await Promise.all([this.uses.close(), this.#notes.close()]);
  }

  #locked<T>(sha256: string, body: (lock: BlobLock) => Promise<T>): Promise<T> {
    return this.#locks.run(sha256, () => this.#catalogue.locked(sha256, body));
  }

  /** Under the lock. What nobody removes now is swept when a depot starts. */
  async #removeBlob(sha256: string, lock: BlobLock): Promise<boolean> {
    if (lock.isSure()) return this.#store.remove(sha256);
    throw new HaulError('IN_USE', `the blob ${sha256} is left: the catalogue is not reached`, { sha256 });
  }

  #check(): void {
    if (this.#isClosed) throw new HaulError('CLOSED', 'the depot was closed');
  }

  /** The bytes get their place, and the name its row. */
  async #name(request: PublishRequest, upload: BlobUpload, finished: FinishedUpload): Promise<Published> {
    const wished = this.#rowOf(request, finished);
    const { name, sha256, infoHash } = wished;
    let row = wished;
    const mark = this.#notes.mark();
    const outcome = await this.#locked(sha256, async (lock): Promise<PutOutcome> => {
      const { isShared } = this.#catalogue;
      const [known, isNamed] = await Promise.all([
        this.#catalogue.get(name),
        isShared || this.#catalogue.isNamed(sha256),
      ]);
      const isOther = known !== null && known.sha256 !== sha256;
      if (known !== null && (request.onlyIfNew || (isOther && !request.overwrite))) throw taken(known);
      // Of two blobs of one name a rebuild takes the later. What stays of the row before the catalogue alone can tell.
      row = { ...wished, createdMs: Math.max(wished.createdMs, (known?.createdMs ?? -1) + 1) };
      // A note without its row must not outlive this process unmarked. Beside a blob that nobody names it does not.
      const isNoted = !isShared && !isNamed;
      const { overwrite, onlyIfNew, onlyAdds = false } = request;
      try {
        await this.#store.commit(upload, isNoted ? { name, row: rowToJson(row) } : null);
        const found = await this.#catalogue.put(row, { overwrite, onlyIfNew, onlyAdds, mark, isNoted });
        if (found.kind === 'conflict') await this.#unname(row, isNoted, lock);
        else if (!isNoted || (found.kind === 'replaced' && found.row.isPinned))
          await this.#notes.settle({ mark, sha256, name });
        return found;
      } catch (error) {
        if (!(await this.#unname(row, isNoted, lock).catch(() => false))) throw error;
        await this.#notes.settle({ mark, sha256, name }).catch(() => {});
        // The catalogue complained, and has taken it all the same.
        if (known === null) return { kind: 'created' };
        return isOther ? { kind: 'replaced', row: known } : { kind: 'unchanged', row: rowOver(known, row, request) };
      }
    });
    if (outcome.kind === 'conflict') throw taken(outcome.row);
    if (infoHash !== null) this.#options.torrents?.added(infoHash);
    if (outcome.kind === 'replaced') await this.#released(outcome.row, mark);
    if (outcome.kind === 'created') return { kind: 'created', row };
    return { kind: outcome.kind, row: outcome.kind === 'unchanged' ? outcome.row : rowOver(outcome.row, row, request) };
  }

  /**
   * Under the lock: store or catalogue did not take it. While nobody can tell whether the catalogue will, nothing is
   * touched: a row may come to name the blob.
   * @param isNoted beside the blob
   * @returns whether the catalogue has the row after all
   */
  async #unname({ name, sha256, createdMs }: ArtifactRow, isNoted: boolean, lock: BlobLock): Promise<boolean> {
    const there = await this.#catalogue.settled(name);
    if (there?.sha256 === sha256 && there.createdMs === createdMs) return true;
    const isNamed = await this.#catalogue.isNamed(sha256);
    // On a full disk a note may find no room: what frees space does not wait for it.
    const text = there?.sha256 === sha256 ? rowToJson(there) : null;
    const noted = isNoted ? this.#store.note(sha256, name, text) : Promise.resolve();
    const trouble = await noted.then(
      () => null,
      (error: unknown) => error,
    );
    if (!isNamed) await this.#removeBlob(sha256, lock);
    if (trouble !== null) throw trouble;
    return false;
  }

  /** A row is gone: so are its torrent and its blob, if no other row has them. @param mark of its note */
  async #released({ name, sha256, infoHash }: ArtifactRow, mark: string): Promise<void> {
    const noteMark = { mark, sha256, name };
    await this.#locked(sha256, async (lock) => {
      // On a full disk a note may find no room: what frees space does not wait for it.
      const isNoted = await this.#notes.settle(noteMark);
      await this.#options.folders?.released(name, sha256);
      const isNamed = await this.#catalogue.isNamed(sha256);
      const hasTorrent = infoHash !== null && (await this.#catalogue.byInfoHash(infoHash)) !== null;
      if (infoHash !== null && !hasTorrent) await this.#options.torrents?.removed(infoHash);
      if (isNamed) return;
      await this.#removeBlob(sha256, lock);
      // What was noted went with it.
      if (!isNoted) this.#notes.unmark(noteMark);
    });
  }

  #rowOf(request: PublishRequest, finished: FinishedUpload): ArtifactRow {
    const { sha256, lengthBytes, pieces, pieceLengthBytes } = finished;
    const { name, contentType } = request;
    const nowMs = Math.floor(this.#now());
    const days = request.retentionDays ?? this.#options.retentionDays ?? null;
    const infoHash =
      pieces === null || pieceLengthBytes === null
        ? null
        : blobInfoHash(fileNameOf(name), { lengthBytes, pieces, pieceLengthBytes });
    return {
      name,
      sha256,
      lengthBytes,
      infoHash,
      contentType,
      createdMs: nowMs,
      expiresMs: days === null ? null : nowMs + Math.ceil(days * DAY_MS),
      usedMs: nowMs,
      isPinned: false,
      // Of what has no torrent nobody can tell how many have it.
      replicas: infoHash === null ? null : (request.replicas ?? null),
    };
  }
}

/** All of a file may have to be hashed yet. */
async function unlessAborted(signal: AbortSignal, upload: BlobUpload): Promise<FinishedUpload> {
  const giveUp = (): void => void upload.abort();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await upload.finish();
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function tooLong(lengthMax: number): HaulError {
  return new HaulError('LIMIT', `it is longer than the ${lengthMax} bytes that are allowed`, { lengthMax });
}

function taken(row: ArtifactRow): HaulError {
  const { name, sha256 } = row;
  return new HaulError('FILE_EXISTS', `there is ${shortName(name)} already`, { name, sha256 });
}

function checkRetention(days: number | null): void {
  if (days === null || (Number.isFinite(days) && days > 0 && days <= DEPOT_LIMITS.retentionDays)) return;
  const text = `retention of ${days} days: it must be more than 0 and at most ${DEPOT_LIMITS.retentionDays}`;
  throw new HaulError('BAD_ARGUMENT', text, { option: 'retention-days' });
}
