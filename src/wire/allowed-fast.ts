/** BEP 6 "allowed fast set": the pieces a choked peer may still request, the same on every client. */

/** SHA-1 yields 5 candidates a round; far above what any set of `count` needs, so that no input can loop for ever. */
const MAX_ROUNDS = 1000;

/**
 * @param ip the peer's IPv4 address, 4 bytes (the set is not defined for IPv6)
 * @param count pieces wanted; BEP 6 suggests 10
 * @param sha1 digest of 20 bytes
 * @returns piece numbers in the order of BEP 6, all pieces when there are no more than `count`
 */
export function allowedFastSet(
  ip: Uint8Array,
  infoHash: Uint8Array,
  pieceCount: number,
  count: number,
  sha1: (bytes: Uint8Array) => Uint8Array,
): number[] {
  if (ip.length !== 4 || infoHash.length !== 20) throw new RangeError('an IPv4 address has 4 bytes, an info-hash 20');
  if (pieceCount <= count) return Array.from({ length: pieceCount }, (_, piece) => piece);
  let x: Uint8Array = new Uint8Array(24);
  // The host part is left out so that peers of one network share a set.
  x.set(ip.subarray(0, 3), 0);
  x.set(infoHash, 4);
  const pieces = new Set<number>();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    x = sha1(x);
    for (let at = 0; at < 20; at += 4) {
      const y = ((x[at]! << 24) | (x[at + 1]! << 16) | (x[at + 2]! << 8) | x[at + 3]!) >>> 0;
      if (pieces.size < count) pieces.add(y % pieceCount);
    }
    if (pieces.size >= count) break;
  }
  return [...pieces];
}
