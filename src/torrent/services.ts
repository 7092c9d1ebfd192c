/** What a torrent needs from outside, as interfaces: `engine.ts` alone names the implementations. */
import type { TrackerReport } from '../api.js';
import type { FoundBy, PeerSource, PeerSourceOwner } from '../discovery/source.js';
import type { HaulError } from '../errors.js';
import type { Log } from '../log.js';
import type { Bitfield } from '../metainfo/bitfield.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Selection } from '../metainfo/selection.js';
import type { Address } from '../net/address.js';
import type { Door } from '../peer/handshakes.js';
import type { PeerLink } from '../peer/link.js';
import type { TorrentThrottles } from '../peer/throttle.js';
import type { Storage } from '../storage/port.js';
import type { Claim, ResumeVerdict } from '../storage/resume.js';
import type { FileStamp } from '../work/file-stamp.js';
import type { WorkPool } from '../work/port.js';

/** Known addresses of one torrent and when each may be dialled. */
export interface Addresses {
  readonly count: number;
  add(address: Address, source: 'explicit' | FoundBy): unknown;
  next(nowMs: number): Address | null;
  /** When `next` may have something, given that it had nothing; Infinity: when one is added. */
  nextAtMs(): number;
  dialled(address: Address): void;
  connected(address: Address, nowMs: number): void;
  /** @param isAlone there is no other peer: it is tried again soon. */
  failed(address: Address, nowMs: number, isAlone: boolean): void;
  /** The dial did not begin, for want of something of ours: it may be dialled again. */
  postponed(address: Address): void;
  /** The connection to this address is silent: another one is dialled beside it, without a pause. */
  dialAgain(address: Address): void;
  disconnected(address: Address, nowMs: number, isAlone: boolean): void;
  /** Not to be dialled before that time, unless the user named it. */
  ban(address: Address, untilMs: number): void;
  /** Of no use any more: never to be dialled again. */
  retire(address: Address): void;
  /** The address whose ban ends first may be dialled now. False: none is banned. */
  pardon(): boolean;
  markSelf(address: Address): void;
}

/** Talks to the trackers of one torrent. */
export interface Announces extends PeerSource {
  completed(nowMs: number): void;
  /** The next announce comes at once. */
  announceNow(nowMs: number): void;
  /** Every tracker of the torrent, also those that cannot be contacted, and how it answered last. */
  reports(): readonly TrackerReport[];
}

export interface AnnounceOwner extends PeerSourceOwner {
  onOutcome(url: string, outcome: 'ok' | 'warning' | 'failure', message: string): void;
}

/** Where a torrent's data lies: one writer, or any number of readers, whatever engine or process they are in. */
export interface Place {
  /** The download is complete: others may read it too. @throws HaulError IN_USE: somebody else took it meanwhile */
  share(): Promise<void>;
  release(): Promise<void>;
}

export interface Services {
  readonly pool: WorkPool;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly peerId: Buffer;
  readonly listenPort: number | null;
  readonly uploadSlots: number;
  readonly maxPeers: number;
  /** Places in a full table that one address keeps when others knock. */
  readonly maxPeersPerAddress: number;
  readonly throttles: TorrentThrottles;
  /** A seed without a peer for so long rests. */
  readonly restAfterMs: number;
  /** @throws HaulError IN_USE naming the owner */
  claimPlace(metainfo: Metainfo, output: string, isWriting: boolean): Promise<Place>;
  // The selection says which files are left out and so where pieces lie; null: all files are there.
  openStorage(metainfo: Metainfo, output: string, forWriting: boolean, selection: Selection | null): Promise<Storage>;
  /** Files as they are now, under their own names; the part file last. Of `only` these, the others are absent. */
  stampFiles(
    metainfo: Metainfo,
    output: string,
    selection: Selection | null,
    only?: readonly number[],
  ): Promise<readonly FileStamp[]>;
  loadResume(metainfo: Metainfo, output: string, selection: Selection | null): Promise<ResumeVerdict>;
  saveResume(metainfo: Metainfo, output: string, claim: Claim, selection: Selection | null): Promise<void>;
  /** Of an earlier selection; nothing happens where there is none. @throws HaulError */
  removePartFile(metainfo: Metainfo, output: string): Promise<void>;
  recheck(
    metainfo: Metainfo,
    output: string,
    options: {
      readonly only: Bitfield;
      readonly selection: Selection | null;
      /**
       * The files as they were looked at, the part file last: others in their places are not hashed. Default: whatever
       * is there.
       */
      readonly stamps?: readonly FileStamp[];
      /** Trouble in reading is thrown. Default: a piece that cannot be read is bad. */
      readonly isStrict?: boolean;
      readonly onProgress: (checkedPieces: number) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<Bitfield>;
  /** Forces what the files hold to the device, whoever wrote it. @throws HaulError */
  syncData(metainfo: Metainfo, output: string, selection: Selection | null): Promise<void>;
  makeAddresses(): Addresses;
  /** IP addresses of a host name (or of an address, itself). Rejects when there are none. */
  resolveHost(host: string): Promise<readonly string[]>;
  makeAnnounces(metainfo: Metainfo, trackers: readonly (readonly string[])[], owner: AnnounceOwner): Announces;
  /** Takes one dial from the engine's budget (30 a second); false: not now. */
  takeDial(door: Door, isNamed: boolean): boolean;
  /** Most dials of this torrent under way. */
  halfOpenDials(): number;
  dial(door: Door, address: Address): void;
  /** Why connections of others could not be accepted lately, in one clause; null: they could. */
  doorTrouble(): string | null;
  /** False: the engine has more connections than it may, the one at the door included. */
  hasConnectionRoom(): boolean;
  /** Ends the connection of another torrent that is of no use there; false: there is none. */
  dropUselessElsewhere(door: Door): boolean;
  /** Something has happened to this torrent: it is to be ticked again, should it have been quiet. */
  stir(door: Door): void;
  /** A link of this torrent has closed. */
  forgetLink(link: PeerLink): void;
  /** Ends the handshakes under way for this torrent. */
  closeHandshakes(door: Door): void;
  /** The torrent is gone: take it off the list. */
  onStopped(door: Door): void;
  onTrouble(error: HaulError): void;
  /** The same error, or one that knows more of what is wrong with the disk. */
  explain(error: HaulError, output: string): HaulError;
}
