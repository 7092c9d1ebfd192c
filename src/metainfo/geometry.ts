/**
 * Piece and block arithmetic: the only place that multiplies indices by lengths.
 * Numbers from outside become `PieceIndex` and `BlockIndex` here and nowhere else.
 */
import { BLOCK_LENGTH_BYTES } from '../config.js';

declare const brand: unique symbol;
/** 0-based piece number, checked against the torrent. */
export type PieceIndex = number & { readonly [brand]: 'piece' };
/** 0-based block number inside its piece, checked against the piece. */
export type BlockIndex = number & { readonly [brand]: 'block' };
/** Index of a connected peer in the tables of one torrent. */
export type PeerSlot = number & { readonly [brand]: 'slot' };

/** Returned by the `as…` checks when the number is not valid. Compare with `=== NONE`. */
export const NONE = -1;

/** Of a piece: SHA-1. */
export const PIECE_HASH_BYTES = 20;

/** The hash of a piece among those of consecutive ones, `piece` counted from the first of them; not a copy. */
export function pieceHash<T extends Uint8Array>(hashes: T, piece: number): T {
  return hashes.subarray(piece * PIECE_HASH_BYTES, (piece + 1) * PIECE_HASH_BYTES) as T;
}

/** How a torrent is cut into pieces and blocks. */
export class Geometry {
  readonly lengthBytes: number;
  readonly pieceLengthBytes: number;
  readonly pieceCount: number;
  /** Blocks of every piece but the last, which may have fewer. */
  readonly blocksPerPiece: number;

  /**
   * @param lengthBytes total torrent length, > 0.
   * @param pieceLengthBytes > 0. Both are checked by the caller (metainfo).
   */
  constructor(lengthBytes: number, pieceLengthBytes: number) {
    this.lengthBytes = lengthBytes;
    this.pieceLengthBytes = pieceLengthBytes;
    this.pieceCount = Math.ceil(lengthBytes / pieceLengthBytes);
    this.blocksPerPiece = Math.ceil(pieceLengthBytes / BLOCK_LENGTH_BYTES);
  }

  /** Checks a piece number from outside. */
  asPiece(index: number): PieceIndex | typeof NONE {
    return Number.isInteger(index) && index >= 0 && index < this.pieceCount ? (index as PieceIndex) : NONE;
  }

  /** Bytes in this piece; only the last may be shorter. */
  pieceLength(piece: PieceIndex): number {
    return piece === this.pieceCount - 1 ? this.lengthBytes - piece * this.pieceLengthBytes : this.pieceLengthBytes;
  }

  /** Torrent offset, in bytes, of the first byte of the piece. */
  pieceBegin(piece: PieceIndex): number {
    return piece * this.pieceLengthBytes;
  }

  /** Torrent offset behind the last byte of the piece. */
  pieceEnd(piece: PieceIndex): number {
    return this.pieceBegin(piece) + this.pieceLength(piece);
  }

  /** The piece that holds the byte at this torrent offset. */
  pieceAt(offset: number): PieceIndex {
    return Math.floor(offset / this.pieceLengthBytes) as PieceIndex;
  }

  /** The pieces, from `first` to before `end`, with a byte of this range of the torrent; none in an empty one. */
  piecesIn(beginBytes: number, lengthBytes: number): { readonly first: PieceIndex; readonly end: PieceIndex } {
    const first = this.pieceAt(beginBytes);
    return { first, end: lengthBytes <= 0 ? first : ((this.pieceAt(beginBytes + lengthBytes - 1) + 1) as PieceIndex) };
  }

  /** Those of them that lie wholly in it. */
  wholePiecesIn(beginBytes: number, lengthBytes: number): { readonly first: PieceIndex; readonly end: PieceIndex } {
    const endBytes = beginBytes + lengthBytes;
    const first = Math.ceil(beginBytes / this.pieceLengthBytes) as PieceIndex;
    const end = endBytes === this.lengthBytes ? this.pieceCount : this.pieceAt(endBytes);
    return { first, end: Math.max(first, end) as PieceIndex };
  }

  /** Bytes in so many pieces. @param hasLast the last piece of the torrent is among them */
  bytesOf(pieceCount: number, hasLast: boolean): number {
    const last = (this.pieceCount - 1) as PieceIndex;
    return pieceCount * this.pieceLengthBytes - (hasLast ? this.pieceLengthBytes - this.pieceLength(last) : 0);
  }

  /** Number of blocks in this piece. */
  blockCount(piece: PieceIndex): number {
    return Math.ceil(this.pieceLength(piece) / BLOCK_LENGTH_BYTES);
  }

  /** Byte offset of a block inside its piece (BEP 3 `begin`). */
  blockBegin(block: BlockIndex): number {
    return block * BLOCK_LENGTH_BYTES;
  }

  /** Bytes in this block; only the last of a piece may be shorter. */
  blockLength(piece: PieceIndex, block: BlockIndex): number {
    return Math.min(BLOCK_LENGTH_BYTES, this.pieceLength(piece) - block * BLOCK_LENGTH_BYTES);
  }

  /** The block that `begin` and `length` name exactly, or NONE when they are not a block of this piece. */
  asBlock(piece: PieceIndex, begin: number, length: number): BlockIndex | typeof NONE {
    if (begin < 0 || begin % BLOCK_LENGTH_BYTES !== 0 || begin >= this.pieceLength(piece)) return NONE;
    const block = (begin / BLOCK_LENGTH_BYTES) as BlockIndex;
    return this.blockLength(piece, block) === length ? block : NONE;
  }

  /** The block in which this byte of a piece lies. */
  blockAt(begin: number): BlockIndex {
    return Math.floor(begin / BLOCK_LENGTH_BYTES) as BlockIndex;
  }

  /** Bytes in so many blocks from this one on. */
  runLength(piece: PieceIndex, block: BlockIndex, count: number): number {
    const begin = block * BLOCK_LENGTH_BYTES;
    return Math.min(count * BLOCK_LENGTH_BYTES, this.pieceLength(piece) - begin);
  }

  /** How many whole blocks of the piece `begin` and `length` name, 0 when they do not. */
  asRun(piece: PieceIndex, begin: number, length: number): number {
    if (begin < 0 || length <= 0 || begin % BLOCK_LENGTH_BYTES !== 0) return 0;
    const over = begin + length - this.pieceLength(piece);
    if (over > 0 || (over < 0 && length % BLOCK_LENGTH_BYTES !== 0)) return 0;
    return Math.ceil(length / BLOCK_LENGTH_BYTES);
  }

  /** True when `begin` and `length` lie inside the piece (a request may name any range, BEP 3). */
  containsRange(piece: PieceIndex, begin: number, length: number): boolean {
    return begin >= 0 && length > 0 && begin + length <= this.pieceLength(piece);
  }

  /** Bytes of a bitfield of this torrent (BEP 3 `bitfield`). */
  get bitfieldBytes(): number {
    return Math.ceil(this.pieceCount / 8);
  }
}
