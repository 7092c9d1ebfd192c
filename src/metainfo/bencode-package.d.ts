/** What this project uses of the npm package `bencode`, which ships without types. Only `bencode.ts` may import it. */
declare module 'bencode' {
  interface Bencode {
    /** Not safe on bytes that `scan` has not accepted. Dictionaries come as plain objects, strings as copies. */
    decode(bytes: Uint8Array): unknown;
    encode(value: unknown): Uint8Array;
  }
  const bencode: Bencode;
  export default bencode;
}
