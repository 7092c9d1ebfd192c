/** One publish by peers: what is known of it, and the pace at which it has to come. Time comes as arguments. */
import type { Torrent } from '../../api.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import type { ArtifactRow } from '../catalogue/port.js';
import { P2P_LIMITS } from './limits.js';
import type { ArrivalRequest, ArrivalState, ArrivalView } from './port.js';
import type { Kept } from './shelf.js';

export class Arrival {
  readonly id: string;
  readonly infoHashHex: string;
  /** Twenty bytes as Latin-1. */
  readonly key: string;
  readonly lengthBytes: number;
  /** Null: it is over, and hashes of pieces take memory. */
  metainfo: Metainfo | null;
  /** The latest PUT counts. */
  request: ArrivalRequest;
  state: ArrivalState;
  /** While it receives. */
  torrent: Torrent | null = null;
  /** While it is stored: gives that up, and resolves when it is over. */
  storing: { readonly abort: AbortController; readonly over: Promise<void> } | null = null;
  row: ArtifactRow | null = null;
  error: unknown = null;
  /** It is about to be over: resolves when nothing of it is left. */
  leaving: Promise<void> | null = null;
  /** Of one that is over, milliseconds that only go on. */
  overMs = 0;
  rest: Kept['rest'];
  /** Told that no bytes come any more: what shows it as an upload. */
  onQuiet: () => void = () => {};
  #receivedBytes: number;
  #windowMs = 0;
  #windowBytes = 0;

  constructor({ id, metainfo, request, rest }: Kept) {
    this.id = id;
    this.metainfo = metainfo;
    this.infoHashHex = metainfo.infoHashHex;
    this.key = metainfo.infoHash.toString('latin1');
    this.lengthBytes = metainfo.geometry.lengthBytes;
    this.request = request;
    this.rest = rest;
    this.state = rest === null ? 'receiving' : 'resting';
    this.#receivedBytes = rest?.receivedBytes ?? 0;
  }

  /** What is written down of it. */
  get noted(): Pick<Kept, 'id' | 'request' | 'rest'> {
    const { id, request, rest } = this;
    return { id, request, rest };
  }

  get isOver(): boolean {
    return this.state === 'done' || this.state === 'failed';
  }

  /** Verified. */
  get receivedBytes(): number {
    if (this.torrent !== null) this.#receivedBytes = this.torrent.stats().verifiedBytes;
    return this.#receivedBytes;
  }

  set receivedBytes(bytes: number) {
    this.#receivedBytes = bytes;
  }

  /** Also with some: they may be of no use. */
  get peerLookSeconds(): number {
    return this.torrent?.stats().peers === 0 ? P2P_LIMITS.peerLookSeconds : P2P_LIMITS.peerLookSecondsInCompany;
  }

  beginWindow(nowMs: number): void {
    this.#windowMs = nowMs;
    this.#windowBytes = this.#usefulBytes;
  }

  /** False: too little came for too long. What is hashed or made ready here takes none of that time. */
  isAlive(nowMs: number): boolean {
    const { torrent } = this;
    if (torrent === null || torrent.state !== 'downloading') this.beginWindow(nowMs);
    if (nowMs - this.#windowMs < P2P_LIMITS.windowMs) return true;
    const least = (P2P_LIMITS.bytesPerSec * (nowMs - this.#windowMs)) / 1000;
    const isEnough = this.#usefulBytes - this.#windowBytes >= least;
    this.beginWindow(nowMs);
    return isEnough;
  }

  /** A long piece takes its time until it is verified: its blocks count. */
  get #usefulBytes(): number {
    const stats = this.torrent?.stats();
    return stats === undefined ? 0 : stats.downloadedBytes - stats.wastedBytes - stats.corruptBytes;
  }

  view(peerPort: number | null): ArrivalView {
    const { id, request, infoHashHex: infoHash, state, row, error, lengthBytes, receivedBytes } = this;
    const { name, sha256 } = request;
    const peers = this.torrent?.stats().peers ?? 0;
    return { id, name, sha256, lengthBytes, infoHash, state, receivedBytes, peers, peerPort, row, error };
  }
}

/** What of a PUT may differ from the one before. */
export function isSameWish(a: ArrivalRequest, b: ArrivalRequest): boolean {
  return (
    a.sha256 === b.sha256 &&
    a.contentType === b.contentType &&
    a.retentionDays === b.retentionDays &&
    (a.replicas ?? null) === (b.replicas ?? null) &&
    a.overwrite === b.overwrite &&
    a.onlyIfNew === b.onlyIfNew &&
    (a.onlyAdds ?? false) === (b.onlyAdds ?? false)
  );
}
