/**
 * Announces of torrents that the engine has not awake: of blobs that sleep here, and of fetches that are still plain
 * HTTP.
 */
import type { AnnounceReply } from '../../discovery/announce.js';
import type { Trackers } from '../../discovery/trackers.js';
import type { Metainfo } from '../../metainfo/metainfo.js';
import { makePeerId } from '../../wire/peer-id.js';

export interface AnnouncerOptions {
  /** Where peers reach us; null: nowhere. */
  readonly port: () => number | null;
  readonly zone?: string | undefined;
  readonly announceAs?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
  readonly trackers: Pick<Trackers, 'announce'>;
}

/** The depot, which names itself as a seed, and this agent. */
const KNOWN = 2;

export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #peerId = makePeerId(Math.random);

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /**
   * Null: no peer could reach us, so nobody is told.
   * @param infoHash in hexadecimal. @throws HaulError as `Trackers.announce`
   */
  async announce(url: string, infoHash: string, leftBytes: number): Promise<AnnounceReply | null> {
    const { zone, announceAs } = this.#options;
    const port = announceAs?.port ?? this.#options.port();
    if (port === null) return null;
    return this.#options.trackers.announce(url, {
      infoHash: Buffer.from(infoHash, 'hex'),
      peerId: this.#peerId,
      port,
      uploadedBytes: 0,
      downloadedBytes: 0,
      leftBytes,
      numwant: 0,
      ...(announceAs?.host === undefined ? {} : { ip: announceAs.host }),
      ...(zone === undefined ? {} : { zone }),
    });
  }

  /** How many others have the torrent, or want it, beside the depot: they hear of us, too. @throws as `announce` */
  async othersOf({ infoHashHex, trackers, geometry }: Metainfo): Promise<number> {
    const [url] = trackers.flat();
    if (url === undefined) return 0;
    const reply = await this.announce(url, infoHashHex, geometry.lengthBytes);
    return Math.max(0, (reply?.complete ?? 0) + (reply?.incomplete ?? 0) - KNOWN);
  }
}
