/** Publishing by peers as the HTTP routes see it. Types only. */
import type { ArtifactRow, PutRules } from '../catalogue/port.js';

/**
 * - `receiving`: bytes come from peers, or are waited for, or what is here from before is checked.
 * - `resting`: nobody gave anything for a while; what came is kept. The same PUT goes on with it.
 * - `storing`: all is here; it is hashed, forced to the device and gets its name.
 * - `done`, `failed`: it is over.
 */
export type ArrivalState = 'receiving' | 'resting' | 'storing' | 'done' | 'failed';

export interface ArrivalRequest extends PutRules {
  /** Full name. */
  readonly name: string;
  /** What the bytes must hash to; null: only their pieces are known. */
  readonly sha256: string | null;
  readonly contentType: string | null;
  readonly retentionDays: number | null;
  readonly replicas?: number | null;
  /** Id of the token, or the address of who has none: whose share of the places it takes. */
  readonly owner: string;
}

/** One publish by peers, as it is now. */
export interface ArrivalView {
  /** 32 hexadecimal digits that nobody can guess. */
  readonly id: string;
  readonly name: string;
  readonly sha256: string | null;
  readonly lengthBytes: number;
  readonly infoHash: string;
  readonly state: ArrivalState;
  /** Verified bytes. */
  readonly receivedBytes: number;
  readonly peers: number;
  /** Where peers of this depot listen; null: nowhere. */
  readonly peerPort: number | null;
  /** Of one that is done. */
  readonly row: ArtifactRow | null;
  /** Of one that has failed; an error of `Depository.publish`, or of the disk. */
  readonly error: unknown;
}

export type Begun =
  | { readonly kind: 'arriving'; readonly view: ArrivalView }
  /** The name has these bytes. */
  | { readonly kind: 'there'; readonly row: ArtifactRow }
  /** The bytes have to be sent as a body; why, for people. */
  | { readonly kind: 'send'; readonly why: string };

export interface ByPeers {
  /**
   * Begins, or goes on with, the publish of that name and torrent.
   * @param torrent as it was sent
   * @throws HaulError MISMATCH: it is not the torrent that the depot would make; LIMIT: too long; NO_SPACE;
   * FILE_EXISTS; SYSTEM_LIMIT: too many are under way; CLOSED
   */
  begin(request: ArrivalRequest, torrent: Buffer): Promise<Begun>;
  find(id: string): ArrivalView | null;
  /**
   * Gives it up: it has failed, with ABORTED, and nothing of it is kept. Resolves when that is so; one that is being
   * named may be named all the same. Of one that is over nothing is told any more.
   */
  drop(id: string): Promise<void>;
}
