/**
 * The store: where blobs lie, immutable bytes by their SHA-256. It knows no names. Whatever implements it passes the
 * suite in `test/depot/store-conformance.ts`.
 */
import type { AddOptions } from '../../api.js';

/** A torrent needs no hashing. */
export interface PieceRecord {
  readonly lengthBytes: number;
  /** SHA-1 of the pieces, 20 bytes each; null: the blob is too short to have a torrent. */
  readonly pieces: Uint8Array | null;
  readonly pieceLengthBytes: number | null;
}

/** What lies beside a blob: the catalogue can be made anew of it. */
export interface Sidecar extends PieceRecord {
  /** JSON texts of the rows that name it, as far as they were told: by full name. */
  readonly names: ReadonlyMap<string, string>;
}

export interface BlobStat {
  readonly sha256: string;
  readonly lengthBytes: number;
}

/** Half-open, bytes. */
export interface ByteRange {
  readonly begin: number;
  readonly end: number;
}

/** Bytes on their way in. Nobody sees them before `commit`; after a crash they are swept. */
export interface BlobUpload {
  readonly writtenBytes: number;
  /** Resolves when more may come (back-pressure). The store owns the chunk from then on. */
  write(chunk: Uint8Array): Promise<void>;
  /** All is here: hashes are finished and the bytes are durable or held. Nothing is visible yet. */
  finish(): Promise<FinishedUpload>;
  /** Gives it up, at any time before `commit`; idempotent. */
  abort(): Promise<void>;
}

export interface FinishedUpload {
  readonly sha256: string;
  readonly lengthBytes: number;
  readonly pieces: Uint8Array | null;
  readonly pieceLengthBytes: number | null;
}

export interface UploadOptions {
  /** As announced, its space is asked for at once; null: not known. */
  readonly lengthBytes: number | null;
  /** The pieces of a torrent are hashed too when it is at least so long. */
  readonly piecesFromBytes: number;
  /** What they are announced to hash to, if anything; `finish` says what it was. */
  readonly sha256?: string | null;
}

/** A row that names a blob, for its sidecar: full name, and the row as JSON. */
export interface NameNote {
  readonly name: string;
  readonly row: string;
}

/** A blob as a file of a folder that an engine reads. */
export interface PlacedFile {
  readonly sha256: string;
  /** Below the folder, slashes between its parts: checked as names of artifacts are. No two are one file. */
  readonly path: string;
}

/** As files, or to be read from the store. */
export type Placed = Required<Pick<AddOptions, 'output' | 'hashed'>> | Required<Pick<AddOptions, 'output' | 'source'>>;

export interface VerifyOptions {
  /** Told of bytes that were hashed since it was told last. */
  onHashed?(lengthBytes: number): void;
  /** ABORTED then. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of a blob that are verified on their own: from `begin` to before `end`. */
export interface BlobPart extends ByteRange {
  readonly sha256: string;
}

/** Other depots of a store. */
export interface PartSource {
  /** It is not another depot's to bring it from the store. */
  isOurs(part: BlobPart): Promise<boolean>;
  /**
   * False: nobody has it. Never rejects.
   * @param mayPassOn whose it is may be asked to bring it from the store
   * @param into of the length of the part
   */
  bring(
    part: BlobPart,
    mayPassOn: boolean,
    into: Buffer,
    isGood: (bytes: Buffer) => Promise<boolean>,
  ): Promise<boolean>;
}

/** Bytes of blobs since the start. */
export interface StoreTraffic {
  readonly fromStore: number;
  readonly fromDepots: number;
  readonly toDepots: number;
}

/** A store that several depots can reach, if they share a catalogue. */
export interface StoreElsewhere {
  /** "s3". */
  readonly kind: string;
  /** The same wherever it is reached from. */
  readonly id: string;
  /** For `/readyz`: empty, or why it cannot be used now; nothing secret. */
  ready(): Promise<string>;
  /**
   * It belongs to this catalogue, which several depots share: one that another has would be swept of what only that one
   * names. @throws HaulError IN_USE: it is another's
   */
  bind(catalogue: string): Promise<void>;
  /** From now on others are asked before the store is. */
  asksFirst(others: PartSource): void;
  /**
   * For another depot. Null: it is not here.
   * @param mayFetch it is brought from the store where it is not here
   */
  give(part: BlobPart, mayFetch: boolean): AsyncIterable<Uint8Array> | null;
  readonly traffic: StoreTraffic;
}

/** All methods reject with HaulError: NO_SPACE, IO, READ_ONLY, NO_PERMISSION, NETWORK; BAD_DATA: it was changed. */
export interface BlobStore {
  create(options: UploadOptions): Promise<BlobUpload>;
  /**
   * An upload whose bytes are all written: those of this file of ours, which nobody writes to any more. It stays where
   * it is, and is the caller's to remove; after `commit` it may be the blob itself. Null: this store (which may leave
   * the method out), or this file system, cannot, and the bytes have to be written.
   */
  adopt?(file: string, options: UploadOptions): Promise<BlobUpload | null>;
  /**
   * Durable when it resolves: data synced, renamed, folder synced, sidecar written with that note. Where the blob is
   * there already and good, that one stays and the upload is dropped. Nobody commits or removes the same blob
   * meanwhile: the caller's lock. The upload is over, whatever becomes of it.
   */
  commit(upload: BlobUpload, note: NameNote | null): Promise<BlobStat>;
  stat(sha256: string): Promise<BlobStat | null>;
  /**
   * The bytes, in slices of up to 1 MiB or more that are valid until the next is asked for. Throws NOT_FOUND; BAD_DATA
   * where the file is not the one that was committed (length, stamp).
   */
  read(sha256: string, range: ByteRange): AsyncIterable<Uint8Array>;
  /** Where an engine finds the blob as a file of this name. Null: nowhere. */
  place(sha256: string, fileName: string): Promise<Placed | null>;
  /** The engine uses that place no more. */
  leave(sha256: string, fileName: string): Promise<void>;
  /**
   * As `place`, of many blobs in one folder of their own. `hashed`, and the files of `source`, are in their order.
   * @param id 40 hexadecimal digits: what is placed under the same one again is placed anew
   */
  placeAll(id: string, files: readonly PlacedFile[]): Promise<Placed | null>;
  /** The engine uses that folder no more. */
  leaveAll(id: string): Promise<void>;
  /** Null: it is not there. */
  pieces(sha256: string): Promise<PieceRecord | null>;
  /** JSON texts of the rows that name it, by full name, as far as they were told since it is there. Hashes nothing. */
  names(sha256: string): Promise<ReadonlyMap<string, string>>;
  /** Both: it takes longer. */
  sidecar(sha256: string): Promise<Sidecar | null>;
  /** Durable when it resolves. @param row null: the name does not point there any more */
  note(sha256: string, name: string, row: string | null): Promise<void>;
  /**
   * Reads and hashes it whole, off this thread, whatever is known of it. False: it is not what it is called, and will
   * not be read before it is committed anew (unless the store is only read). Throws NOT_FOUND. Several at once share
   * the threads.
   */
  verify(sha256: string, options?: VerifyOptions): Promise<boolean>;
  /** False: it was not there. Whoever reads it goes on. */
  remove(sha256: string): Promise<boolean>;
  /** All blobs, in no order. */
  list(): AsyncIterable<BlobStat>;
  /** Where it may lead elsewhere now. @throws HaulError IO: what is not there may not be gone */
  check?(): Promise<void>;
  /** Bytes of blobs and uploads; own ones, not the disk's. */
  readonly usedBytes: number;
  /** Free and whole bytes of where it lies; null: without bound. */
  space(): Promise<{ readonly freeBytes: number; readonly totalBytes: number } | null>;
  /** Where it is not in a folder. */
  readonly elsewhere?: StoreElsewhere;
  close(): Promise<void>;
}
