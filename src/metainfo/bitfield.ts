/** Bit sets in the order of BEP 3 `bitfield`: the high bit of the first byte is piece 0. */

/** V8 keeps typed arrays of so many bytes in its heap, without a buffer until somebody asks for one. */
const SHORT_BYTES = 64;

export class Bitfield {
  readonly bytes: Uint8Array;
  readonly bitCount: number;
  #count = 0;

  constructor(bitCount: number, bytes?: Uint8Array) {
    this.bitCount = bitCount;
    this.bytes = new Uint8Array(Math.ceil(bitCount / 8));
    if (bytes !== undefined) {
      if (!isCanonicalBitfield(bytes, bitCount)) throw new RangeError(`not a bitfield of ${bitCount} bits`);
      copy(bytes, this.bytes);
      this.#count = countBits(bytes);
    }
  }

  /** Number of set bits. */
  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.bitCount;
  }

  has(index: number): boolean {
    return ((this.bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
  }

  /** Returns true when the bit changed. */
  set(index: number): boolean {
    if (index < 0 || index >= this.bitCount || this.has(index)) return false;
    this.bytes[index >> 3]! |= 0x80 >> (index & 7);
    this.#count++;
    return true;
  }

  /** Returns true when the bit changed. */
  clear(index: number): boolean {
    if (!this.has(index)) return false;
    this.bytes[index >> 3]! &= ~(0x80 >> (index & 7));
    this.#count--;
    return true;
  }

  setAll(): void {
    this.bytes.fill(0xff);
    const spare = this.bytes.length * 8 - this.bitCount;
    if (spare > 0) this.bytes[this.bytes.length - 1] = (0xff << spare) & 0xff;
    this.#count = this.bitCount;
  }
}

/** `set` makes V8 give both arrays buffers of their own, which are larger than a short array is. */
function copy(from: Uint8Array, to: Uint8Array): void {
  if (from.length > SHORT_BYTES) to.set(from);
  else for (let at = 0; at < from.length; at++) to[at] = from[at]!;
}

/** True when the length fits and the spare bits at the end are zero (BEP 3 asks to drop peers that send others). */
export function isCanonicalBitfield(bytes: Uint8Array, bitCount: number): boolean {
  if (bytes.length !== Math.ceil(bitCount / 8)) return false;
  const spare = bytes.length * 8 - bitCount;
  return spare === 0 || (bytes[bytes.length - 1]! & ((1 << spare) - 1)) === 0;
}

function countBits(bytes: Uint8Array): number {
  let count = 0;
  for (let byte of bytes) for (; byte !== 0; byte &= byte - 1) count++;
  return count;
}

/** Bits in a row that are set, from the first on. */
export function runsOf(bits: Bitfield): { first: number; end: number }[] {
  const found: { first: number; end: number }[] = [];
  for (let bit = 0; bit < bits.bitCount; bit++) {
    if (!bits.has(bit)) continue;
    const last = found.at(-1);
    if (last?.end === bit) last.end++;
    else found.push({ first: bit, end: bit + 1 });
  }
  return found;
}
