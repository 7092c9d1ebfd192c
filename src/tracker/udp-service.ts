/** What the tracker answers to datagrams whose sender is where it says (BEP 15). Knows no socket. */
import type { TrackerService } from './service.js';
import { readUdpAnnounce, readUdpScrape, udpAnnounceAnswer, udpError, udpScrapeAnswer } from './udp-query.js';

const MISMATCH = 'connection id mismatch';

export class UdpService {
  readonly #service: TrackerService;
  readonly #localAddress: (remote: string) => string;

  /** @param localAddress by which this client reaches us: there it finds seeds of this process */
  constructor(service: TrackerService, localAddress: (remote: string) => string) {
    this.#service = service;
    this.#localAddress = localAddress;
  }

  /** The connection id is none of ours for this address. Less goes out than came in. */
  refuse(request: Buffer): Buffer | null {
    return request.length > MISMATCH.length + 8 ? udpError(request, MISMATCH) : null;
  }

  /** @param compact of the sender, with room for its port. Null: no announce */
  announce(request: Buffer, compact: Uint8Array, remote: string): Buffer | null {
    const read = readUdpAnnounce(request, compact.length);
    if (read === null) return null;
    const { query, path } = read;
    compact[compact.length - 2] = query.port >> 8;
    compact[compact.length - 1] = query.port & 0xff;
    const said = this.#service.announceFrom(query, passkeyOf(path), compact, remote, () => this.#localAddress(remote));
    if (typeof said === 'string') return udpError(request, said);
    return udpAnnounceAnswer(request, said.view, compact.length !== 6, said.localSeed, said.intervalS);
  }

  /** Null: no scrape. */
  scrape(request: Buffer): Buffer | null {
    const hashes = readUdpScrape(request);
    if (hashes === null) return null;
    // It names no URL: where passkeys are asked for there is none by UDP.
    const counts = this.#service.scrapeFor('');
    return typeof counts === 'string' ? udpError(request, counts) : udpScrapeAnswer(request, hashes, counts);
  }
}

/** `/KEY/announce`; '' for any other path. */
function passkeyOf(path: string): string {
  return /^\/([^/]+)\/announce$/.exec(path)?.[1] ?? '';
}
