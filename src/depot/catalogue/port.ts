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

/** What `put` found. */
export type PutOutcome =
  | { readonly kind: 'created' }
  /** The same blob was under this name; times and pin of the new row are taken. */
  | { readonly kind: 'unchanged'; readonly row: ArtifactRow }
  /** Another blob was, and it was allowed to be replaced. `row` is the old one. */
  | { readonly kind: 'replaced'; readonly row: ArtifactRow }
  /** Another blob is, or (with `onlyIfNew`) anything; nothing was changed. */
  | { readonly kind: 'conflict'; readonly row: ArtifactRow };

export interface PutRules {
  /** Another blob under the name is replaced. */
  readonly overwrite: boolean;
  /** Anything under the name is a conflict, the same blob too (`If-None-Match: *`). */
  readonly onlyIfNew: boolean;
}

export interface ListQuery {
  /** Full names that begin with this. */
  readonly prefix: string;
  /** What the page before ended with; null: from the begin. */
  readonly cursor: string | null;
  /** At most so many rows; 1 to 1000. */
  readonly limit: number;
}

export interface ListPage {
  /** In the order of the bytes of their names. */
  readonly rows: readonly ArtifactRow[];
  /** For the next page; null: that was the last one. */
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

/** All methods reject with HaulError: IO, NO_SPACE, CLOSED; BAD_DATA where what is stored is damaged. */
export interface Catalogue {
  get(name: string): Promise<ArtifactRow | null>;
  /** Durable when it resolves: it survives a crash of the machine. Of several at once for one name one wins. */
  put(row: ArtifactRow, rules: PutRules): Promise<PutOutcome>;
  /**
   * Durable when it resolves. Null: it was not there.
   * @param onlyIf remove it only while it is this blob
   */
  remove(name: string, onlyIf?: { readonly sha256: string }): Promise<ArtifactRow | null>;
  list(query: ListQuery): Promise<ListPage>;
  /** Whether any name points to this blob. */
  isNamed(sha256: string): Promise<boolean>;
  /** A row whose torrent this is, or null. */
  byInfoHash(infoHash: string): Promise<ArtifactRow | null>;
  /** Info-hashes of all torrents, each once, in no order: for the table of dormant ones. */
  infoHashes(): AsyncIterable<string>;
  /** Rows that were fetched at these times; need not be durable. */
  touch(used: ReadonlyMap<string, number>): Promise<void>;
  /** Null: it was not there. Durable when it resolves. */
  pin(name: string, isPinned: boolean): Promise<ArtifactRow | null>;
  /** Rows whose `expiresMs` is before `nowMs` and that are not pinned, the oldest first. */
  expiring(nowMs: number, limit: number): Promise<readonly ArtifactRow[]>;
  /** Rows that are not pinned by when they were used last, the longest unused first. */
  leastUsed(limit: number): Promise<readonly ArtifactRow[]>;
  counts(): Promise<CatalogueCounts>;
  close(): Promise<void>;
}
