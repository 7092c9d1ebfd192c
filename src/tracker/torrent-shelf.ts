/** The .torrent files a tracker hands out, each rendered for the address by which the client reached it. */
import { createHash } from 'node:crypto';
import { canonicalHost, urlHost } from '../net/address.js';

/** Renderings kept per file. A client may send any Host header: what it makes us remember is bounded. */
const RENDERINGS_MAX = 8;

export interface ShelfItem {
  /** What differs from address to address, some hundred bytes. */
  readonly head: Buffer;
  /** All behind that: one memory for all renderings, however many slow readers hold one. */
  readonly tail: Buffer;
  /** With quotes, as it stands in the header. */
  readonly etag: string;
}

interface ShelfFile {
  readonly render: (baseUrl: string) => Uint8Array;
  readonly renderings: Map<string, ShelfItem>;
  /** Of the first rendering: what the others end with as well. */
  first: { readonly bytes: Buffer; readonly digest: string } | null;
}

/** Two renderings are compared in stretches of this many bytes from their ends. */
const STRETCH_BYTES = 4096;

export class TorrentShelf {
  readonly #files = new Map<string, ShelfFile>();

  get names(): string[] {
    return [...this.#files.keys()];
  }

  /** Adds or replaces a file; ".torrent" is added to the name when it is missing. */
  put(fileName: string, render: (baseUrl: string) => Uint8Array): void {
    this.#files.set(fileName.endsWith('.torrent') ? fileName : `${fileName}.torrent`, {
      render,
      renderings: new Map(),
      first: null,
    });
  }

  get(fileName: string, baseUrl: string): ShelfItem | null {
    const file = this.#files.get(fileName);
    if (file === undefined) return null;
    const known = file.renderings.get(baseUrl);
    if (known !== undefined) return known;
    const item = split(file, file.render(baseUrl));
    for (const oldest of file.renderings.keys()) {
      if (file.renderings.size < RENDERINGS_MAX) break;
      file.renderings.delete(oldest);
    }
    file.renderings.set(baseUrl, item);
    return item;
  }
}

function split(file: ShelfFile, rendering: Uint8Array): ShelfItem {
  const bytes = Buffer.from(rendering.buffer, rendering.byteOffset, rendering.byteLength);
  file.first ??= { bytes, digest: digestOf(bytes) };
  const { bytes: first, digest } = file.first;
  const tail = first.subarray(first.length - commonEnd(first, bytes));
  // Not a view: it would keep the whole rendering.
  const head = Buffer.from(bytes.subarray(0, bytes.length - tail.length));
  return { head, tail, etag: `"${digestOf(head)}.${tail.length.toString(36)}.${digest}"` };
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('base64url');
}

/** Bytes with which both end, in whole stretches. */
function commonEnd(a: Buffer, b: Buffer): number {
  const limit = Math.min(a.length, b.length);
  let common = 0;
  while (common + STRETCH_BYTES <= limit) {
    const next = common + STRETCH_BYTES;
    const isSame = a.compare(b, b.length - next, b.length - common, a.length - next, a.length - common) === 0;
    if (!isSame) break;
    common = next;
  }
  return common;
}

/**
 * "http://host:port" by which a client reached us: its Host header when that is a plain host and port, else the local
 * end of its connection. @param local address and port of the socket.
 */
export function baseUrl(
  hostHeader: string | undefined,
  local: { readonly address: string; readonly port: number },
): string {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::(\d{1,5}))?$/.exec(hostHeader ?? '');
  const host = match === null ? null : canonicalHost(match[1] ?? match[2]!);
  const port = match?.[3] === undefined ? 80 : Number(match[3]);
  if (host === null || port < 1 || port > 65535) {
    return `http://${urlHost(canonicalHost(local.address.split('%', 1)[0]!) ?? 'localhost')}:${local.port}`;
  }
  return match?.[3] === undefined ? `http://${urlHost(host)}` : `http://${urlHost(host)}:${port}`;
}
