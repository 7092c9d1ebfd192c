/**
 * Announces of torrents that the engine has not awake: of blobs that sleep here, and of fetches that are still plain
 * HTTP.
 */
import type { AnnounceReply } from '../../discovery/announce.js';
import type { Trackers } from '../../discovery/trackers.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import { makePeerId } from '../../wire/peer-id.js';
import type { Tiers } from './depot-port.js';

export interface AnnouncerOptions {
  /** Where peers reach us; null: nowhere. */
  readonly port: () => number | null;
  readonly zone?: string | undefined;
  readonly announceAs?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
  readonly trackers: Pick<Trackers, 'announce'>;
  /** The tracker to ask first comes first. */
  readonly inOrder: (tiers: Tiers) => Tiers;
}

/** Trackers that are told, one after the other, until one answers; and how long the next waits for that. */
const TRIES = 3;
const NEXT_MS = 3_000;

/** The depot, which names itself as a seed, and this agent. */
const KNOWN = 2;

interface Told {
  readonly infoHash: string;
  readonly leftBytes: number;
  readonly port: number;
}

export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #peerId = makePeerId(Math.random);

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /**
   * To one of them. Null: there is none, or no peer could reach us, so nobody is told.
   * @param infoHash in hexadecimal. @throws HaulError as `Trackers.announce`, of the last one
   */
  async announce(tiers: Tiers, infoHash: string, leftBytes: number): Promise<AnnounceReply | null> {
    const port = this.#options.announceAs?.port ?? this.#options.port();
    const urls = port === null ? [] : this.#options.inOrder(tiers).flat().slice(0, TRIES);
    for (const [at, url] of urls.entries()) {
      const isLast = at === urls.length - 1;
      const signal = isLast ? undefined : AbortSignal.timeout(NEXT_MS);
      try {
        return await this.#tell(url, { infoHash, leftBytes, port: port! }, signal);
      } catch (error) {
        if (isLast) throw error;
      }
    }
    return null;
  }

  #tell(url: string, told: Told, signal: AbortSignal | undefined): Promise<AnnounceReply> {
    const { zone, announceAs, trackers } = this.#options;
    const { infoHash, leftBytes, port } = told;
    const request = {
      infoHash: Buffer.from(infoHash, 'hex'),
      peerId: this.#peerId,
      port,
      uploadedBytes: 0,
      downloadedBytes: 0,
      leftBytes,
      numwant: 0,
      ...(announceAs?.host === undefined ? {} : { ip: announceAs.host }),
      ...(zone === undefined ? {} : { zone }),
    };
    return trackers.announce(url, request, signal);
  }

  /** How many others have the torrent, or want it, beside the depot: they hear of us, too. @throws as `announce` */
  async othersOf({ infoHashHex, trackers, geometry }: Metainfo): Promise<number> {
    const reply = await this.announce(trackers, infoHashHex, geometry.lengthBytes);
    if (reply === null) return 0;
    return Math.max(0, (reply.complete ?? 0) + (reply.incomplete ?? 0) - KNOWN);
  }
}
