/**
 * SipHash-2-4: a short keyed hash that who does not know the key can neither guess nor aim. Pure, of 32-bit halves: a
 * call into OpenSSL costs ten times as much as these few words do.
 */

/** Halves of v0 to v3, low before high; reused. */
const v = new Uint32Array(8);
const START = Uint32Array.of(
  ...[0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573, 0x74656462],
);
const KEY_WORDS = 4;

/** Four words for 16 bytes. */
export function sipKey(bytes: Uint8Array): Uint32Array {
  return Uint32Array.from({ length: KEY_WORDS }, (_, i) => word(bytes, i * 4));
}

/** Writes the 64 bits of the hash of `bytes` to `out`, low word first. @param key of `sipKey` */
export function sipHash(key: Uint32Array, bytes: Uint8Array, out: Uint32Array): void {
  for (let i = 0; i < 8; i++) v[i] = START[i]! ^ key[i % KEY_WORDS]!;
  const { length } = bytes;
  const whole = length - (length % 8);
  for (let at = 0; at < whole; at += 8) absorb(word(bytes, at), word(bytes, at + 4));
  let low = 0;
  let high = (length & 0xff) << 24;
  for (let i = whole; i < length; i++) {
    const shift = ((i - whole) % 4) * 8;
    if (i - whole < 4) low |= bytes[i]! << shift;
    else high |= bytes[i]! << shift;
  }
  absorb(low, high);
  v[4]! ^= 0xff;
  for (let i = 0; i < 4; i++) round();
  out[0] = v[0]! ^ v[2]! ^ v[4]! ^ v[6]!;
  out[1] = v[1]! ^ v[3]! ^ v[5]! ^ v[7]!;
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function absorb(low: number, high: number): void {
  v[6]! ^= low;
  v[7]! ^= high;
  round();
  round();
  v[0]! ^= low;
  v[1]! ^= high;
}

/** v[a] += v[b]. */
function add(a: number, b: number): void {
  const low = v[a]! + v[b]!;
  v[a + 1] = v[a + 1]! + v[b + 1]! + (low > 0xffffffff ? 1 : 0);
  v[a] = low;
}

/** v[a] = rotate(v[a], bits) ^ v[b]; fewer than 32 bits. */
function turn(a: number, bits: number, b: number): void {
  const low = v[a]!;
  const high = v[a + 1]!;
  v[a] = ((low << bits) | (high >>> (32 - bits))) ^ v[b]!;
  v[a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ v[b + 1]!;
}

/** Rotates by 32 bits. */
function swap(a: number): void {
  const low = v[a]!;
  v[a] = v[a + 1]!;
  v[a + 1] = low;
}

function round(): void {
  add(0, 2);
  turn(2, 13, 0);
  swap(0);
  add(4, 6);
  turn(6, 16, 4);
  add(0, 6);
  turn(6, 21, 0);
  add(4, 2);
  turn(2, 17, 4);
  swap(4);
}
