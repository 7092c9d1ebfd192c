/** Anonymous memory cut into equal slots: piece and unit buffers of positional storage, one view for all of them. */
import type { MemoryRange } from '../hash/port.js';
import * as mmap from './mmap-io.js';

export class Slab {
  readonly slotBytes: number;
  readonly #address: number;
  readonly #lengthBytes: number;
  readonly #buffer: Buffer;

  /** Pages cost memory only once they are touched. Total below 4 GiB. */
  constructor(slotCount: number, slotBytes: number) {
    const page = mmap.pageSize();
    this.slotBytes = Math.ceil(slotBytes / page) * page;
    this.#lengthBytes = this.slotBytes * slotCount;
    const flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE;
    this.#address = mmap.map(this.#lengthBytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1);
    this.#buffer = Buffer.from(mmap.view(this.#address, this.#lengthBytes));
  }

  get buffer(): Buffer {
    return this.#buffer;
  }

  range(slot: number, lengthBytes: number, beginBytes = 0): MemoryRange {
    return {
      windowAddress: this.#address,
      windowBytes: this.#lengthBytes,
      beginBytes: slot * this.slotBytes + beginBytes,
      lengthBytes,
    };
  }

  /** Nobody may touch any slot afterwards, in any thread. */
  close(): void {
    mmap.unmap(this.#address, this.#lengthBytes);
  }
}
