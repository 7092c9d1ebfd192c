/**
 * The pieces of a folder's torrent, of the blobs as the store reads them. Hashing is done by threads of Node's own
 * (Web Crypto); what a blob's own torrent has hashed already is taken from there.
 */
import { webcrypto } from 'node:crypto';
import { HaulError } from '../../errors.js';
import { type Geometry, PIECE_HASH_BYTES, type PieceIndex, pieceHash } from '../../metainfo/geometry.js';
import type { BlobStore } from '../store/port.js';
import { type FolderEntry, type FolderLayout, isAligned } from './layout.js';

/** Pieces that are hashed while the next one is read. */
const PIECES_AT_ONCE = 3;

export interface HashOptions {
  readonly store: Pick<BlobStore, 'read' | 'pieces'>;
  readonly signal: AbortSignal;
  /** Bytes that are done, those that were hashed before among them. */
  readonly onDone?: (doneBytes: number) => void;
}

/** SHA-1 of all pieces. @throws HaulError ABORTED; NOT_FOUND, BAD_DATA: a blob is gone or was changed */
export async function hashFolder(layout: FolderLayout, options: HashOptions): Promise<Buffer> {
  const { store, signal, onDone = () => {} } = options;
  const { geometry } = layout;
  const hasher = new PieceHasher(geometry);
  for (const entry of layout.entries) {
    const { sha256, lengthBytes, beginBytes } = entry;
    if (sha256 === null) {
      await hasher.feed(new Uint8Array(lengthBytes));
      continue;
    }
    const knownBytes = await takeKnown(entry, geometry, store, hasher);
    onDone(hasher.doneBytes);
    if (knownBytes === lengthBytes) continue;
    for await (const slice of store.read(sha256, { begin: knownBytes, end: lengthBytes })) {
      if (signal.aborted) throw new HaulError('ABORTED', 'nobody waits for the torrent of the folder');
      await hasher.feed(slice);
      onDone(hasher.doneBytes);
    }
    if (hasher.doneBytes !== beginBytes + lengthBytes)
      throw new HaulError('BAD_DATA', `the blob ${sha256} is not as long as it was`, { sha256 });
  }
  return hasher.end();
}

/** Whole pieces that the blob's own torrent has, too. @returns their bytes */
async function takeKnown(
  { sha256, lengthBytes, beginBytes }: FolderEntry,
  geometry: Geometry,
  store: HashOptions['store'],
  hasher: PieceHasher,
): Promise<number> {
  const { first, end } = geometry.wholePiecesIn(beginBytes, lengthBytes);
  const begins = geometry.pieceBegin(first) === beginBytes;
  if (!begins || end === first || !isAligned(lengthBytes, geometry.pieceLengthBytes)) return 0;
  const record = await store.pieces(sha256!);
  const isFit = record?.pieceLengthBytes === geometry.pieceLengthBytes && record.lengthBytes === lengthBytes;
  if (!isFit || record.pieces === null) return 0;
  // The last one ends with the blob there, and mostly goes on with what follows here.
  for (let piece = first; piece < end; piece++) hasher.take(pieceHash(record.pieces, piece - first));
  return hasher.doneBytes - beginBytes;
}

class PieceHasher {
  /** Hashed, or on their way to it. */
  doneBytes = 0;
  readonly #geometry: Geometry;
  readonly #pieces: Buffer;
  readonly #spare: Uint8Array[] = [];
  readonly #running = new Set<Promise<void>>();
  #piece: Uint8Array;
  #failure: unknown = null;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
    this.#pieces = Buffer.alloc(geometry.pieceCount * PIECE_HASH_BYTES);
    this.#piece = new Uint8Array(geometry.pieceLengthBytes);
  }

  /** The hash of the next piece; the one before must be whole. */
  take(hash: Uint8Array): void {
    const piece = this.#geometry.pieceAt(this.doneBytes);
    pieceHash(this.#pieces, piece).set(hash);
    this.doneBytes = this.#geometry.pieceEnd(piece);
  }

  /** Resolves when more may come; the bytes are the caller's again then. */
  async feed(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const piece = this.#geometry.pieceAt(this.doneBytes);
      const filled = this.doneBytes - this.#geometry.pieceBegin(piece);
      const part = bytes.subarray(at, at + this.#geometry.pieceLength(piece) - filled);
      this.#piece.set(part, filled);
      at += part.length;
      this.doneBytes += part.length;
      if (this.doneBytes === this.#geometry.pieceEnd(piece)) await this.#hash(piece);
    }
  }

  async end(): Promise<Buffer> {
    await Promise.all(this.#running);
    if (this.#failure !== null) throw this.#failure;
    return this.#pieces;
  }

  async #hash(piece: PieceIndex): Promise<void> {
    const bytes = this.#piece;
    const run = webcrypto.subtle.digest('SHA-1', bytes.subarray(0, this.#geometry.pieceLength(piece))).then(
      (digest) => {
        pieceHash(this.#pieces, piece).set(new Uint8Array(digest));
        this.#spare.push(bytes);
      },
      (error: unknown) => {
        this.#failure ??= error;
      },
    );
    const settled = run.finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    while (this.#running.size >= PIECES_AT_ONCE) await Promise.race(this.#running);
    if (this.#failure !== null) throw this.#failure;
    this.#piece = this.#spare.pop() ?? new Uint8Array(this.#geometry.pieceLengthBytes);
  }
}
