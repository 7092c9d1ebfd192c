/**
 * The catalogue: which name points to which blob, until when, and which info-hash leads to which blob. Several depots
 * may share one, so nothing here is a read followed by a write: what must hold together is one call. Whatever
 * implements it passes the suite in `test/depot/catalogue-conformance.ts`.
 */

/** A name and what it points to. */
export interface ArtifactRow {
  /** Full name, its space first: "artifacts/ci/42/image.raw", "cas/<64 hex>", "ac/<64 hex>". See `depot/names.ts`. */
  readonly name: string;
  /** SHA-256 of the blob, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  readonly lengthBytes: number;
  /** Of the blob's torrent under this file name, 40 lower-case hexadecimal digits. Null: it has none. */
  readonly infoHash: string | null;
  /** As the publisher named it, or null. */
  readonly contentType: string | null;
  /** Milliseconds since 1970, as all times here. */
  readonly createdMs: number;
  /** When the name goes by age. Null: never. */
  readonly expiresMs: number | null;
  /** Last fetched; a few minutes coarse. */
  readonly usedMs: number;
  /** Never goes by itself. */
  readonly isPinned: boolean;
  /** Goes by watermark only when the swarm holds so many whole copies beside ours. Null: nobody asked for any. */
  readonly replicas: number | null;
}

/**
 * What `put` found. A pin belongs to the name: it stays when the name is published again, until `pin` takes it away.
 */
export type PutOutcome =
  | { readonly kind: 'created' }
  /** The same blob was under this name; the new row is taken, and `row` is what is stored now. */
  | { readonly kind: 'unchanged'; readonly row: ArtifactRow }
  /** Another blob was, and it was allowed to be replaced. `row` is the old one, of which a pin stays. */
  | { readonly kind: 'replaced'; readonly row: ArtifactRow }
  /** Another blob is, or (with `onlyIfNew`) anything; nothing was changed. */
  | { readonly kind: 'conflict'; readonly row: ArtifactRow };

/**
 * What is noted beside a blob about a name may not agree with the name's row. It is written with the change of the row
 * that makes it so, and goes when the note was written: a process that ends in between leaves it to the next one.
 */
export interface NoteMark {
  /** 16 hexadecimal digits; of one change. */
  readonly mark: string;
  readonly sha256: string;
  /** Full name. */
  readonly name: string;
}

export interface MarkQuery {
  /** Of this blob alone. */
  readonly sha256?: string;
  /** The last one of those before; null: from the begin. */
  readonly after: NoteMark | null;
  /** At most so many; 1 to 1000. */
  readonly limit: number;
}

export interface PutRules {
  /** Another blob under the name is replaced. */
  readonly overwrite: boolean;
  /** Anything under the name is a conflict, the same blob too (`If-None-Match: *`). */
  readonly onlyIfNew: boolean;
  /** Who puts the same blob again may only add: it goes no sooner than it would have, and keeps its content type. */
  readonly onlyAdds?: boolean;
  /**
   * The note beside a blob that is replaced is marked so; with `isNoted` false, or where another row is stored than was
   * put (a pin stays), that of the new one, too.
   */
  readonly mark?: string;
  readonly isNoted?: boolean;
}

/** What a row must still be; a field that is not given does not matter. */
export type RowFacts = Partial<Pick<ArtifactRow, 'sha256' | 'createdMs' | 'expiresMs' | 'usedMs' | 'isPinned'>>;

export interface ListQuery {
  /** Full names that begin with this. */
  readonly prefix: string;
  /** Rows behind this name, which need not be there (any more); null: from the begin. No Unicode is BAD_ARGUMENT. */
  readonly cursor: string | null;
  /** At most so many rows; 1 to 1000. */
  readonly limit: number;
}

export interface ListPage {
  /** In the order of the bytes of their names. */
  readonly rows: readonly ArtifactRow[];
  /** Last name of the page, for the next one; null: there is none. */
  readonly cursor: string | null;
}

/** What goes next, and why, in order. */
export type ExpiryReason = 'age' | 'idle' | 'watermark';

export interface CatalogueCounts {
  readonly names: number;
  /** Blobs that are named. */
  readonly blobs: number;
  /** Of those blobs, each counted once. */
  readonly blobBytes: number;
}

/** A lock that is held, as far as this process can tell. */
export interface BlobLock {
  /**
   * Nobody else gets it for the next seconds whatever happens. What cannot be taken back is done only then: between
   * processes a lock ends by itself when its holder is silent for long.
   */
  isSure(): boolean;
}

/** What one depot at a time does for all that share a catalogue. */
export type HouseTask = 'keep';

/**
 * All methods reject with HaulError: IO, NO_SPACE, READ_ONLY, CLOSED; where it is on another machine NETWORK (it is not
 * reached, or does not answer in time) and IN_USE (others are in the way: the same again may work); BAD_DATA, naming
 * the row, where what is stored is damaged; BAD_ARGUMENT for a row that could not be read again. A name that is no
 * Unicode text is never there.
 */
export interface Catalogue {
  /** Other processes may have it too. */
  readonly isShared: boolean;
  get(name: string): Promise<ArtifactRow | null>;
  /**
   * What `get` gives, for good: a change of the name that rejected before has come true or never will. Rejects while
   * nobody can tell; whoever was told of a failure must not act on it before.
   */
  settled(name: string): Promise<ArtifactRow | null>;
  /** Durable when it resolves: it survives a crash of the machine. Of several at once for one name one wins. */
  put(row: ArtifactRow, rules: PutRules): Promise<PutOutcome>;
  /**
   * Durable when it resolves. Null: it was not there.
   * @param onlyIf remove it only while this holds; else null
   * @param mark of the note beside its blob
   */
  remove(name: string, onlyIf?: RowFacts, mark?: string): Promise<ArtifactRow | null>;
  list(query: ListQuery): Promise<ListPage>;
  /** Whether any name points to this blob. */
  isNamed(sha256: string): Promise<boolean>;
  /** A row whose torrent this is, or null. */
  byInfoHash(infoHash: string): Promise<ArtifactRow | null>;
  /** Info-hashes of all torrents, each once, in no order: for the table of dormant ones. */
  infoHashes(): AsyncIterable<string>;
  /** Rows that were fetched at these times; need not be durable. Unknown names and earlier times change nothing. */
  touch(used: ReadonlyMap<string, number>): Promise<void>;
  /** Null: it was not there. Durable when it resolves. @param mark of the note beside its blob, where it changes */
  pin(name: string, isPinned: boolean, mark?: string): Promise<ArtifactRow | null>;
  /** Notes that may not agree with the rows, in the order of blob, mark and name. */
  marks(query: MarkQuery): Promise<readonly NoteMark[]>;
  /** These notes agree now; need not be durable. */
  unmark(marks: readonly NoteMark[]): Promise<void>;
  /**
   * Rows whose `expiresMs` is before `nowMs` (Infinity: all that go by age) and that are not pinned, the oldest first.
   * Here and below rows that are damaged are left out: house-keeping goes on without them. At most 1000.
   * @param after the last one of those before, as it was read
   */
  expiring(nowMs: number, limit: number, after?: ArtifactRow | null): Promise<readonly ArtifactRow[]>;
  /** Rows that are not pinned by when they were used last, the longest unused first. At most 1000. */
  leastUsed(limit: number, after?: ArtifactRow | null): Promise<readonly ArtifactRow[]>;
  counts(): Promise<CatalogueCounts>;
  /**
   * Runs `body` while nobody else, in any process that has this catalogue, is in one for the same blob: in the order of
   * asking within a process. A `put` of that blob in it rejects with IN_USE where the lock was lost. What throws in
   * `body` is thrown. @throws HaulError IN_USE: another depot has it for too long; and those of all methods
   */
  locked<T>(sha256: string, body: (lock: BlobLock) => Promise<T>): Promise<T>;
  /**
   * Where it is shared: the secret of all that have it, 32 bytes; ours, if there is none yet. Durable when it resolves.
   */
  secret?(ours: Uint8Array): Promise<Uint8Array>;
  /** Where it is shared: what tells it from all others, hexadecimal digits. */
  id?(): Promise<string>;
  /** Runs `body`, unless somebody is at that task: null then. */
  turn<T>(task: HouseTask, body: () => Promise<T>): Promise<T | null>;
  close(): Promise<void>;
}
