/** A receiver that hears nothing: benches override what they want to hear. */
import type { WireSink } from '../../src/wire/sink.js';

export class QuietSink implements WireSink {
  onKeepAlive(): void {}
  onChoke(): void {}
  onUnchoke(): void {}
  onInterested(): void {}
  onNotInterested(): void {}
  onHave(_piece: number): void {}
  onBitfield(_bits: Uint8Array): void {}
  onRequest(_piece: number, _begin: number, _length: number): void {}
  onCancel(_piece: number, _begin: number, _length: number): void {}
  onBlockBegin(_piece: number, _begin: number, _length: number): void {}
  onBlockBytes(_source: Buffer, _start: number, _end: number): void {}
  onBlockEnd(): void {}
  onPort(_port: number): void {}
  onSuggest(_piece: number): void {}
  onHaveAll(): void {}
  onHaveNone(): void {}
  onReject(_piece: number, _begin: number, _length: number): void {}
  onAllowedFast(_piece: number): void {}
  onExtended(_id: number, _payload: Uint8Array): void {}
}
