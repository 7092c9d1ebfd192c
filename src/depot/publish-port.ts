/** What the HTTP routes need of the depot's inside: publishing, reading, removing. Errors are `HaulError`s. */
import type { ArtifactRow, PutRules, RowFacts } from './catalogue/port.js';
import type { ByteRange } from './store/port.js';

export interface PublishRequest extends PutRules {
  /** Full name. */
  readonly name: string;
  /** As the request says; null: not known (chunked). */
  readonly lengthBytes: number | null;
  /** What the bytes must hash to, where the client said so. */
  readonly sha256: string | null;
  readonly contentType: string | null;
  /** Days until it goes; null: as the depot's own rule says. */
  readonly retentionDays: number | null;
  /** It goes by watermark only while so many others have all of it; null: nobody minds. Without a torrent no matter. */
  readonly replicas?: number | null;
  readonly body: AsyncIterable<Uint8Array>;
  /** A file of ours that holds those bytes, and that nobody writes to: a store that can takes it as it is. */
  readonly file?: string;
  readonly signal: AbortSignal;
}

export interface Published {
  readonly kind: 'created' | 'unchanged' | 'replaced';
  readonly row: ArtifactRow;
}

export interface Depository {
  /**
   * The first chunk of the body is asked for when all that can be refused without it was: then "100 Continue" is due.
   * Rejects, with nothing kept, with BAD_ARGUMENT, FILE_EXISTS (another blob has the name), MISMATCH (`sha256`, or a
   * body shorter or longer than announced), NO_SPACE, LIMIT (too long), TIMEOUT (slower than the least rate), ABORTED.
   */
  publish(request: PublishRequest): Promise<Published>;
  find(name: string): Promise<ArtifactRow | null>;
  /**
   * Bytes of a blob in slices, each valid until the next is asked for. The row counts as used. Whoever answers by HTTP
   * asks for the first slice before it sends a status: NOT_FOUND and BAD_DATA come with it. BAD_DATA later: the file
   * was changed meanwhile, and the connection has to end.
   */
  read(row: ArtifactRow, range: ByteRange): AsyncIterable<Uint8Array>;
  /**
   * Null: it was not there. The blob goes when nothing names it.
   * @param onlyIf remove it only while this holds; else null
   */
  remove(name: string, onlyIf?: RowFacts): Promise<ArtifactRow | null>;
  /** Null: it was not there. */
  pin(name: string, isPinned: boolean): Promise<ArtifactRow | null>;
  /** Removes a blob that no row names. False: one does, or it is not there. */
  collect(sha256: string): Promise<boolean>;
  /** `collect` of every blob of the store: what an end without warning left. Resolves with how many are gone. */
  sweep(): Promise<number>;
  /**
   * The .torrent of a row, or null: the blob is too short to have one.
   * @param announceUrl of the depot, with the passkey of who asks
   * @param webSeedUrl where the blob is by HTTP
   */
  torrent(row: ArtifactRow, announceUrl: string, webSeedUrl: string): Promise<Buffer | null>;
}
