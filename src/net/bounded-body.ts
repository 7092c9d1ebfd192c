/** A body that is held whole has a bound. */

/**
 * All of it. Leaving early closes the body, and with it the connection.
 * @param tooLong made where it has more bytes than `bytesMax`. @throws that, and what reading throws
 */
export async function boundedBody(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  tooLong: () => Error,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}
