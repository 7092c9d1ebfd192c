/** What a torrent needs to exchange data: its storage and what goes with it. A seed that rests has none of it. */
import type { AddOptions } from '../api.js';
import type { HaulError } from '../errors.js';
import type { Storage } from '../storage/port.js';
import { Exchange } from '../swarm/exchange.js';
import { toHaulError } from './endings.js';
import { FileWatch } from './file-watch.js';
import { Keeper } from './keeper.js';
import { OnDisk, type OnDiskOptions } from './on-disk.js';
import type { TorrentExchange } from './remotes.js';
import type { Session } from './session.js';
import { proveSuspects } from './suspicion.js';
import { endOfId } from './wire-remote.js';

export class Workings {
  readonly storage: Storage;
  readonly keeper: Keeper;
  readonly watch: FileWatch;
  readonly #torrent: Session;

  /** @param isKept false: a seed of somebody's data keeps no record beside it */
  constructor(torrent: Session, storage: Storage, isKept: boolean) {
    const { metainfo, have, wantedPieces, unfinished, content } = torrent;
    this.#torrent = torrent;
    this.storage = storage;
    this.watch = new FileWatch({
      storage,
      prove: () => this.proveSuspects(false),
      onTrouble: (error) => torrent.onDiskError(toHaulError(error, `look at ${metainfo.name}`)),
    });
    this.keeper = new Keeper({
      storage,
      have,
      wantedPieces,
      unfinished,
      save: (claim) => content.saveResume(claim),
      onTrouble: (error: HaulError) => torrent.onDiskError(error),
      onWarning: (error) => torrent.tell('warning', error),
      isKept,
    });
  }

  /** Once a second. */
  tick(nowMs: number): void {
    this.keeper.tick(nowMs);
    this.watch.tick(nowMs);
  }

  /** @throws HaulError */
  async proveSuspects(untilQuiet: boolean): Promise<void> {
    const { metainfo, output, content, selection, have, signal, environment } = this.#torrent;
    const { storage } = this;
    const { log } = environment;
    await proveSuspects({ storage, content, log, metainfo, output, selection, have, signal, untilQuiet });
  }
}

/** The look at the disk that comes before. */
export function lookOnDisk(
  torrent: Session,
  options: Pick<OnDiskOptions, 'have' | 'isSeed' | 'trustsData' | 'hashed' | 'hashesAll' | 'overwrites'>,
  onChecked?: (checkedPieces: number) => void,
): OnDisk {
  const { metainfo, output, selection, wantedPieces, content, environment, signal } = torrent;
  return new OnDisk({
    ...options,
    metainfo,
    output,
    selection,
    wantedPieces,
    content,
    environment,
    signal,
    onChecking: () => torrent.enter('checking'),
    onChecked: (count) => {
      torrent.checkedPieces = count;
      onChecked?.(count);
    },
  });
}

export function makeExchange(
  torrent: Session,
  storage: Storage,
  { superSeeding, sequential, forward }: Pick<AddOptions, 'superSeeding' | 'sequential' | 'forward'>,
): TorrentExchange {
  const { environment, metainfo, have, unfinished, selection } = torrent;
  return new Exchange({
    name: metainfo.name,
    geometry: metainfo.geometry,
    storage,
    have,
    unfinished,
    random: environment.random,
    now: environment.now,
    maxPeers: environment.maxPeers,
    uploadSlots: environment.uploadSlots,
    isSuperSeeding: superSeeding === true,
    priorities: selection?.pieces,
    isSequential: sequential === true,
    forward: forward === true ? { ownNumber: endOfId(environment.peerId) } : null,
    throttles: environment.throttles,
    owner: torrent,
  });
}
