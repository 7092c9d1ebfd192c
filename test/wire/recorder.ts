/** A sink that writes down what it is told, one string per event; payload bytes are joined per block. */
import type { WireSink } from '../../src/wire/sink.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class Recorder implements WireSink {
  readonly events: string[] = [];
  /** Called after each event with its text; a test may stop the decoder from it. */
  onEvent: (event: string) => void = () => {};
  #block = '';
  #left = 0;
  #isInBlock = false;
  /** Buffers that `onBlockBytes` was given, to see that the payload is not copied. */
  readonly sources = new Set<Buffer>();

  #note(event: string): void {
    if (this.#isInBlock) throw new Error(`${event} inside a block`);
    this.events.push(event);
    this.onEvent(event);
  }

  onKeepAlive(): void {
    this.#note('keep-alive');
  }
  onChoke(): void {
    this.#note('choke');
  }
  onUnchoke(): void {
    this.#note('unchoke');
  }
  onInterested(): void {
    this.#note('interested');
  }
  onNotInterested(): void {
    this.#note('not interested');
  }
  onHave(piece: number): void {
    this.#note(`have ${piece}`);
  }
  onBitfield(bits: Uint8Array): void {
    this.#note(`bitfield ${hex(bits)}`);
  }
  onRequest(piece: number, begin: number, length: number): void {
    this.#note(`request ${piece} ${begin} ${length}`);
  }
  onCancel(piece: number, begin: number, length: number): void {
    this.#note(`cancel ${piece} ${begin} ${length}`);
  }
  onBlockBegin(piece: number, begin: number, length: number): void {
    this.#note(`block ${piece} ${begin} ${length}`);
    this.#isInBlock = true;
    this.#block = '';
    this.#left = length;
  }
  onBlockBytes(source: Buffer, start: number, end: number): void {
    if (!this.#isInBlock) throw new Error('payload outside a block');
    if (end <= start) throw new Error('an empty run of payload');
    this.#left -= end - start;
    if (this.#left < 0) throw new Error('more payload than announced');
    this.sources.add(source);
    this.#block += source.toString('hex', start, end);
    this.onEvent('bytes');
  }
  onBlockEnd(): void {
    if (!this.#isInBlock || this.#left !== 0) throw new Error(`a block ended with ${this.#left} bytes missing`);
    this.#isInBlock = false;
    this.#note(`block end ${this.#block}`);
  }
  onPort(port: number): void {
    this.#note(`port ${port}`);
  }
  onSuggest(piece: number): void {
    this.#note(`suggest ${piece}`);
  }
  onHaveAll(): void {
    this.#note('have all');
  }
  onHaveNone(): void {
    this.#note('have none');
  }
  onReject(piece: number, begin: number, length: number): void {
    this.#note(`reject ${piece} ${begin} ${length}`);
  }
  onAllowedFast(piece: number): void {
    this.#note(`allowed fast ${piece}`);
  }
  onExtended(id: number, payload: Uint8Array): void {
    this.#note(`extended ${id} ${hex(payload)}`);
  }
}
