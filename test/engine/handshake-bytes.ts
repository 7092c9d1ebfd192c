/** An extension handshake whose `metadata_size` is anything, also what our encoder would not say. */

/** @param size bencoded; null: it is left out */
export function encodeBencodeHandshake(size: string | null, number: number): Buffer {
  const length = size === null ? '' : `13:metadata_size${size}`;
  return Buffer.from(`d1:md11:ut_metadatai${number}ee${length}e`, 'latin1');
}
