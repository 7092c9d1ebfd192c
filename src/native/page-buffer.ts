/**
 * Buffers that begin with a page. Where what is copied to lies up to 32 bytes further into its page than what is
 * copied, as any plain buffer does when a file or a socket is read, some processors (Zen 3) take three times as long to
 * copy.
 */
const PAGE_BYTES = 4096;
/** Where a long buffer begins in its page, behind the allocator's own note. Elsewhere nothing is lost but the gain. */
const ALLOCATOR_BYTES = 16;

/** Not cleared. */
export function pageBuffer(lengthBytes: number): Buffer<ArrayBuffer> {
  const begin = PAGE_BYTES - ALLOCATOR_BYTES;
  return Buffer.allocUnsafeSlow(begin + lengthBytes).subarray(begin) as Buffer<ArrayBuffer>;
}
