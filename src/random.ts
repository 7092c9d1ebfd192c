/** A small seeded generator (SplitMix32 step, 32 bits of state): reproducible, not for secrets. */

/** @param seed 32-bit unsigned. Returns a generator of numbers in [0, 1). */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) / 2 ** 32;
  };
}

/**
 * 0 … count − 1, each once, in random order; as cheap as what is taken of it, but for four bytes each.
 * @param random a generator of [0, 1)
 */
export function* inRandomOrder(count: number, random: () => number): Generator<number> {
  const left = Uint32Array.from({ length: count }, (_, index) => index);
  for (let at = 0; at < count; at++) {
    const other = at + Math.floor(random() * (count - at));
    yield left[other]!;
    left[other] = left[at]!;
  }
}
