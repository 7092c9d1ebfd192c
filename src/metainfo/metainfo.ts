/** What a torrent says: the checked, immutable result of reading a .torrent (BEP 3, 12, 19, 27, 47). */
import type { Geometry } from './geometry.js';

/** One file of a torrent. */
export interface FileEntry {
  /**
   * Path below the output folder, components checked safe; includes the torrent's name as first component for
   * multi-file torrents.
   */
  readonly path: readonly string[];
  readonly lengthBytes: number;
  /** Torrent offset of the first byte. */
  readonly beginBytes: number;
  /** BEP 47: bytes are zeros, not stored, not shown. */
  readonly isPad: boolean;
  readonly isExecutable: boolean;
  readonly isHidden: boolean;
  /** BEP 47 symlink target relative to the torrent's root folder, checked to stay inside; then `lengthBytes` is 0. */
  readonly symlinkPath: readonly string[] | null;
  /**
   * Only where `path` was mended (see `path-table.ts`): the path in the torrent's list of files, without the torrent's
   * name. For people: bytes that are not UTF-8 are U+FFFD, and anything else may be in it.
   */
  readonly pathInTorrent?: readonly string[];
}

/** A torrent as `parseTorrent` reads it. */
export interface Metainfo {
  readonly name: string;
  /** SHA-1 of the original bytes of the info dictionary, 20 bytes. */
  readonly infoHash: Buffer;
  readonly infoHashHex: string;
  /** The original bytes of the info dictionary. */
  readonly infoBytes: Buffer;
  readonly geometry: Geometry;
  /** 20 bytes per piece. */
  readonly pieceHashes: Buffer;
  readonly files: readonly FileEntry[];
  /** False: one file, its path is [name]. */
  readonly isMultiFile: boolean;
  readonly isPrivate: boolean;
  /** Tiers of tracker URLs (BEP 12); `announce` alone makes one tier. */
  readonly trackers: readonly (readonly string[])[];
  /** BEP 19 `url-list`. */
  readonly webSeeds: readonly string[];
  readonly comment: string | null;
  readonly createdBy: string | null;
  /** Seconds since 1970, or null. */
  readonly creationDate: number | null;
  /** Things that were odd but harmless, one line each (renamed paths and so on). */
  readonly warnings: readonly string[];
}
