/**
 * The pieces of a folder's torrent, of the blobs as the store reads them. Hashing is done by threads of Node's own
 * (Web Crypto); what a blob's own torrent has hashed already is taken from there.
 */
import { webcrypto } from 'node:crypto';
import { HaulError } from '../../errors.js';
import { type Geometry, PIECE_HASH_BYTES, type PieceIndex, pieceHash } from '../../metainfo/geometry.js';
import { DEPOT_LIMITS } from '../limits.js';
import type { BlobStore } from '../store/port.js';
import { type FolderEntry, type FolderLayout, isAligned } from './layout.js';

/** Pieces that are hashed while the next one is read. */
const PIECES_AT_ONCE = 3;
const SHORT_AT_ONCE = 8;

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
  const ahead = new ReadAhead(layout.entries, store);
  for (const [index, entry] of layout.entries.entries()) {
    const { sha256, lengthBytes, beginBytes } = entry;
    if (sha256 === null) {
      await hasher.feed(new Uint8Array(lengthBytes));
      continue;
    }
    const knownBytes = await takeKnown(entry, geometry, store, hasher);
    onDone(hasher.doneBytes);
    if (knownBytes === lengthBytes) continue;
    for await (const slice of ahead.read(index, knownBytes)) {
      if (signal.aborted) throw new HaulError('ABORTED', 'nobody waits for the torrent of the folder');
      await hasher.feed(slice);
      onDone(hasher.doneBytes);
    }
    if (hasher.doneBytes !== beginBytes + lengthBytes)
      throw new HaulError('BAD_DATA', `the blob ${sha256} is not as long as it was`, { sha256 });
  }
  return hasher.end();
}

/** Short blobs are read some at a time: opening each costs more than its bytes. */
class ReadAhead {
  readonly #entries: readonly FolderEntry[];
  readonly #store: HashOptions['store'];
  readonly #begun = new Map<number, Promise<Buffer>>();
  #next = 0;

  constructor(entries: readonly FolderEntry[], store: HashOptions['store']) {
    this.#entries = entries;
    this.#store = store;
  }

  /** From that byte on; entries in their order. */
  async *read(index: number, begin: number): AsyncGenerator<Uint8Array> {
    const { sha256, lengthBytes } = this.#entries[index]!;
    this.#next = Math.max(this.#next, index);
    for (; this.#begun.size < SHORT_AT_ONCE && this.#next < this.#entries.length; this.#next++) {
      const entry = this.#entries[this.#next]!;
      if (!isShort(entry)) break;
      const bytes = this.#whole(entry);
      // Told when it is its turn.
      bytes.catch(() => {});
      this.#begun.set(this.#next, bytes);
    }
    const begun = this.#begun.get(index);
    this.#begun.delete(index);
    if (begun === undefined) yield* this.#store.read(sha256!, { begin, end: lengthBytes });
    else yield await begun;
  }

  async #whole({ sha256, lengthBytes }: FolderEntry): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const slice of this.#store.read(sha256!, { begin: 0, end: lengthBytes })) parts.push(Buffer.from(slice));
    return Buffer.concat(parts);
  }
}

function isShort({ sha256, lengthBytes }: FolderEntry): boolean {
  return sha256 !== null && lengthBytes > 0 && lengthBytes <= DEPOT_LIMITS.smallBlobBytes;
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
