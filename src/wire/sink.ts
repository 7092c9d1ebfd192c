/**
 * Where decoded messages go. The decoder calls these in the order of the bytes; no allocation happens per block.
 * Numbers are unsigned 32-bit and checked for message size only: the receiver checks them against its torrent.
 * Buffers are views of the shared receive buffer: valid during the call only.
 */
export interface WireSink {
  onKeepAlive(): void;
  onChoke(): void;
  onUnchoke(): void;
  onInterested(): void;
  onNotInterested(): void;
  onHave(piece: number): void;
  onBitfield(bits: Uint8Array): void;
  onRequest(piece: number, begin: number, length: number): void;
  onCancel(piece: number, begin: number, length: number): void;
  /** A `piece` message began: `length` payload bytes follow in one or more `onBlockBytes`, then `onBlockEnd`. */
  onBlockBegin(piece: number, begin: number, length: number): void;
  /** The next bytes of the block are source[start, end). */
  onBlockBytes(source: Buffer, start: number, end: number): void;
  onBlockEnd(): void;
  /** BEP 5 */
  onPort(port: number): void;
  /** BEP 6 */
  onSuggest(piece: number): void;
  onHaveAll(): void;
  onHaveNone(): void;
  onReject(piece: number, begin: number, length: number): void;
  onAllowedFast(piece: number): void;
  /** BEP 10: `id` 0 is the handshake. */
  onExtended(id: number, payload: Uint8Array): void;
}
