/** What of a torrent is changed between two of its sessions, and when that is in force. */
import type { AddOptions, Torrent, TorrentState } from '../api.js';
import type { FoundBy } from '../discovery/source.js';
import { type ErrorCode, HaulError } from '../errors.js';
import type { PieceIndex } from '../metainfo/geometry.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { type FilePriorities, type FilePriority, Selection } from '../metainfo/selection.js';
import type { Address } from '../net/address.js';
import type { Priority } from '../scheduler/pieces/priority.js';
import type { Standings } from '../webseed/standings.js';
import { type FileStamp, isUnchanged } from '../work/file-stamp.js';
import type { Bans } from './bans.js';
import type { Content } from './content.js';
import { stoppedError } from './endings.js';
import type { TorrentExchange } from './remotes.js';
import type { Session } from './session.js';

/** What a session is begun with. */
export interface SessionOptions extends AddOptions {
  /** Neither records nor what its user says of the data is believed: all that is wanted is hashed. */
  readonly hashesAll?: boolean;
  /** Peers that are known already, and how they were found. */
  readonly found?: readonly { readonly address: Address; readonly foundBy: FoundBy }[];
  /** Who lied about what the torrent is, or in earlier sessions. */
  readonly bans?: Bans | null | undefined;
  /** What became of its web seeds in earlier sessions. */
  readonly standings?: Standings;
  /** Pieces that were hashed so far. */
  readonly onChecked?: (checkedPieces: number) => void;
}

/** A pause acquits nobody. */
export function withBans(options: SessionOptions, bans: Bans | null): SessionOptions {
  return bans === null ? options : { ...options, bans };
}

/** Trouble of the disk that somebody can end: space, a cable, a remount, a limit of the system, another reader. */
const MAY_GO_ON: ReadonlySet<ErrorCode> = new Set(['NO_SPACE', 'IO', 'READ_ONLY', 'SYSTEM_LIMIT', 'IN_USE']);

/** What failed at the very start is more likely a wrong argument; but for space. @param hasRun it exchanged data */
export function mayGoOn(failure: HaulError | null, hasRun: boolean): boolean {
  return failure !== null && MAY_GO_ON.has(failure.code) && (hasRun || failure.code === 'NO_SPACE');
}

/** One for each file. A function is asked here only: it may say something else the next time. */
export function listed({ files }: Metainfo, priorities: FilePriorities): readonly FilePriority[] {
  return typeof priorities === 'function' ? files.map((file, index) => priorities(file, index)) : [...priorities];
}

/** A seed whose files are as they were when they were hashed is not hashed again. */
export async function trustedSeed(
  content: Content,
  { files }: Metainfo,
  options: AddOptions,
  stamps: readonly FileStamp[],
): Promise<AddOptions> {
  const now = await content.stamp().catch(() => null);
  const isSame = files.every(
    ({ isPad, symlinkPath }, file) =>
      isPad || symlinkPath !== null || (now !== null && isUnchanged(now[file]!, stamps[file])),
  );
  const { trustData: _, hashed: __, ...rest } = options;
  return isSame ? { ...rest, trustData: true, hashed: stamps.slice(0, files.length) } : rest;
}

/** What was compared with its SHA-256 is not hashed again after a pause. */
export function proven(options: AddOptions): AddOptions {
  const { sha256, ...rest } = options;
  return sha256 === undefined ? options : rest;
}

/** @param stamps of the files at their new place; null: not known for those that were hashed */
export function movedOptions(options: AddOptions, output: string, stamps: readonly FileStamp[] | null): AddOptions {
  if (options.mode !== 'seed') return { ...options, output };
  const { trustData, hashed, ...rest } = options;
  if (stamps !== null) return { ...rest, output, trustData: true, hashed: stamps.slice(0, -1) };
  return trustData === true && hashed === undefined ? { ...rest, output, trustData } : { ...rest, output };
}

const RUNNING: ReadonlySet<TorrentState> = new Set(['downloading', 'seeding']);

/**
 * Resolves when it exchanges data from now on.
 * @throws HaulError what ended or paused it before that; CLOSED: its user did
 */
export function whenRunning(torrent: Torrent): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (state: TorrentState): void => {
      const isOver = state === 'paused' || state === 'stopped' || state === 'failed';
      if (!isOver && !RUNNING.has(state)) return;
      torrent.off('state', look);
      if (!isOver) resolve();
      else if (state === 'paused' && torrent.error === null) {
        reject(new HaulError('CLOSED', `${torrent.metainfo.name}: paused before the change was in force`));
      } else reject(torrent.error ?? stoppedError(torrent.metainfo.name));
    };
    torrent.on('state', look);
    look(torrent.state);
  });
}

/** The peers that were named, but for one. */
export function withoutPeer({ peers = [] }: AddOptions, host: string, port: number): NonNullable<AddOptions['peers']> {
  return peers.filter((peer) => peer.host !== host || peer.port !== port);
}

/** The same files are skipped, so that every byte keeps its place. @param before null: none was */
export function hasSamePlaces(
  { files }: Metainfo,
  before: readonly FilePriority[] | null,
  after: readonly FilePriority[],
): boolean {
  return files.every(({ isPad }, file) => isPad || (before?.[file] === 'skip') === (after[file] === 'skip'));
}

/** Other priorities of the pieces that are wanted anyway. */
export function applyPriorities(
  { metainfo, selection, exchange }: Pick<Session, 'metainfo' | 'selection' | 'exchange'>,
  priorities: readonly FilePriority[],
): void {
  const { pieces } = Selection.of(metainfo, priorities);
  // It is asked again by the next exchange of this session.
  selection?.pieces.set(pieces);
  if (exchange === null) return;
  const nowMs = exchange.now();
  pieces.forEach((priority, piece) => {
    exchange.scheduler.setPriority(piece as PieceIndex, priority as Priority, nowMs);
  });
  exchange.scheduler.fillHungry(nowMs);
}

/** Another limit than that of when it began. */
export function applyDownloadLimit(exchange: TorrentExchange | null, bytesPerSec: number): void {
  if (exchange === null || exchange.isClosed) return;
  exchange.scheduler.setDownloadLimit(bytesPerSec);
  exchange.scheduler.fillHungry(exchange.now());
}
