/** What the tracker answers to datagrams whose sender is where it says (BEP 15). Knows no socket. */
import { ipText } from '../net/address.js';
import type { TrackerService } from './service.js';
import { readUdpAnnounce, readUdpScrape, writeUdpAnnounce, writeUdpError, writeUdpScrape } from './udp-query.js';

const MISMATCH = 'connection id mismatch';

/**
 * A request and how many bytes of its buffer it has, and where its answer goes: each method writes at most
 * UDP_ANSWER_BYTES_MAX and returns how many; 0: no answer.
 */
export class UdpService {
  readonly #service: TrackerService;
  readonly #localAddress: (remote: string) => string;
  /** Of the announce in hand. */
  #compact: Uint8Array = new Uint8Array(0);
  readonly #ends = {
    remote: (): string => ipText(this.#compact, 0, this.#compact.length - 2),
    local: (): string => this.#localAddress(this.#ends.remote()),
  };

  /** @param localAddress by which this client reaches us: there it finds seeds of this process */
  constructor(service: TrackerService, localAddress: (remote: string) => string) {
    this.#service = service;
    this.#localAddress = localAddress;
  }

  /** The connection id is none of ours for this address. Less goes out than came in. */
  refuse(request: Buffer, length: number, target: Buffer): number {
    return length > MISMATCH.length + 8 ? writeUdpError(request, MISMATCH, target) : 0;
  }

  /** @param compact of the sender, with room for its port */
  announce(request: Buffer, length: number, compact: Uint8Array, target: Buffer): number {
    const read = readUdpAnnounce(request, compact.length, length);
    if (read === null) return 0;
    const { query, path } = read;
    compact[compact.length - 2] = query.port >> 8;
    compact[compact.length - 1] = query.port & 0xff;
    this.#compact = compact;
    const said = this.#service.announceFrom(query, passkeyOf(path), compact, this.#ends);
    if (typeof said === 'string') return writeUdpError(request, said, target);
    return writeUdpAnnounce(request, said.view, compact.length !== 6, said, target);
  }

  scrape(request: Buffer, length: number, target: Buffer): number {
    const hashes = readUdpScrape(request, length);
    if (hashes === null) return 0;
    // It names no URL: where passkeys are asked for there is none by UDP.
    const counts = this.#service.scrapeFor('');
    return typeof counts === 'string'
      ? writeUdpError(request, counts, target)
      : writeUdpScrape(request, hashes, counts, target);
  }
}

/** `/KEY/announce`; '' for any other path. */
function passkeyOf(path: string): string {
  return path === '' ? '' : (/^\/([^/]+)\/announce$/.exec(path)?.[1] ?? '');
}
