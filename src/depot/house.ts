/**
 * House-keeping and figures of a running depot, made of its parts: what is fetched now is known here, so that nothing
 * in use goes, and what was answered is counted.
 */
import type { Engine } from '../api.js';
import { HaulError } from '../errors.js';
import type { TrackerService } from '../tracker/service.js';
import type { SharingState } from '../tracker/shared/sharing.js';
import type { DepotOptions } from './api.js';
import type { ArtifactRow, Catalogue } from './catalogue/port.js';
import type { FolderTorrents } from './folders/folder-torrents.js';
import type { Artifacts, Check } from './http/inside.js';
import { ClockFile, systemClocks } from './keep/clock-file.js';
import type { Fullness, KeepRules, Upcoming } from './keep/decide.js';
import { Keeper, type NameFilter } from './keep/keeper.js';
import { isUsedElsewhere, tellUse, USE_TOLD_MS } from './keep/shared-use.js';
import { DepotMetrics } from './metrics.js';
import { Readers } from './readers.js';
import type { BlobStore, ByteRange } from './store/port.js';
import { spaceOf } from './store/room.js';
import type { Uses } from './uses.js';

const DAY_MS = 86_400_000;
/** It begins above the mark and ends a tenth below: not again with the next artifact. */
const LOW_OF_HIGH = 0.9;
/** Paths of bytes; a listing ends with a slash. */
const ARTIFACT_PATH = /^\/(?:artifacts|cas|ac)\/.*[^/]$/s;
/** The same bytes in parts: for the web seeds of torrents (BEP 19), and of the Actions cache. */
const PART_PATH = /^\/(?:blobs|folders|actions-cache)\//;
const TORRENT_PATH = /\.torrent$/;

export interface HouseParts {
  readonly options: Pick<DepotOptions, 'data' | 'idleDays' | 'maxBytes' | 'maxDiskPercent' | 'log'>;
  readonly store: BlobStore;
  readonly catalogue: Catalogue;
  readonly engine: Engine;
  readonly tracker: TrackerService;
  /** What other trackers know; null: this one is on its own. */
  readonly peers: { readonly state: SharingState } | null;
  /** Null: it is the only one of its store. */
  readonly siblings: { readonly siblings: { readonly count: number; readonly lies: number } } | null;
  readonly folders: Pick<FolderTorrents, 'isInUse' | 'namesInUse'>;
  readonly readiness: () => Promise<readonly Check[]>;
  readonly uses: Pick<Uses, 'untold' | 'tell'>;
  /** As the routes see it: what goes is told to who listens. */
  readonly artifacts: Artifacts;
}

/** Of a request that is over. */
export interface AnsweredRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly problem: string | null;
}

export interface House {
  /** `artifacts`, watched. */
  readonly artifacts: Artifacts;
  answered(request: AnsweredRequest): void;
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
  readonly rules: KeepRules;
  /** What goes next, and why. @param isWanted only of these names */
  next(limit: number, isWanted?: NameFilter): Promise<Upcoming[]>;
  /** Of what is published now. Milliseconds since 1970. */
  nowMs(): number;
  /** From now on names go. */
  start(): void;
  close(): Promise<void>;
}

function rulesOf({ idleDays, maxBytes, maxDiskPercent }: HouseParts['options']): KeepRules {
  const marks = (high: number | undefined) => (high === undefined ? null : { high, low: high * LOW_OF_HIGH });
  return {
    idleMs: idleDays === undefined ? null : idleDays * DAY_MS,
    ownBytes: marks(maxBytes),
    diskShare: marks(maxDiskPercent === undefined ? undefined : maxDiskPercent / 100),
  };
}

export async function openHouse(parts: HouseParts): Promise<House> {
  const { options, store, catalogue, engine, tracker, peers, siblings, folders, artifacts, readiness } = parts;
  const log = options.log ?? (() => {});
  const rules = rulesOf(options);
  const readers = new Readers();
  const clock = await ClockFile.open(options.data);
  const fullness = async (): Promise<Fullness> => ({
    // What all depots of a catalogue keep, once.
    usedBytes: catalogue.isShared ? (await catalogue.counts()).blobBytes : store.usedBytes,
    disk: rules.diskShare === null ? null : await store.space(),
  });
  let using: NodeJS.Timeout | undefined;
  const keeper: Keeper = new Keeper({
    rules,
    catalogue,
    remove: (name, onlyIf) => artifacts.remove(name, onlyIf),
    fullness,
    uses: parts.uses,
    turn: (look) => catalogue.turn('keep', look),
    isInUse: ({ name, sha256, infoHash, usedMs }) =>
      readers.has(sha256) ||
      (infoHash !== null && engine.get(infoHash) !== null) ||
      folders.isInUse(name) ||
      (catalogue.isShared && isUsedElsewhere(usedMs, keeper.nowMs())),
    copies: (row) => copiesOf(tracker, row),
    clocks: systemClocks,
    lastWallMs: clock.lastWallMs,
    keepWall: (wallMs) => clock.keep(wallMs),
    log,
  });
  const metrics = new DepotMetrics({
    counts: () => catalogue.counts(),
    storedBytes: () => store.usedBytes,
    // Where blobs are elsewhere it holds their cache, and uploads under way.
    disk: () => (store.elsewhere === undefined ? store.space() : spaceOf(options.data)),
    swarm: () => {
      const { torrents, connections, uploadedBytes } = engine.stats();
      return { torrentsAwake: torrents, peers: connections, uploadedBytes };
    },
    tracker: () => tracker.counts,
    sharing: () => peers?.state ?? null,
    elsewhere: () => store.elsewhere?.traffic ?? null,
    siblings: () => siblings?.siblings ?? null,
    ready: readiness,
    keep: () => ({ removed: keeper.removed, isClockDoubted: keeper.clockDoubt !== null }),
  });
  const isFull = () => rules.ownBytes !== null && store.usedBytes > rules.ownBytes.high;
  return {
    artifacts: watched(artifacts, readers, keeper, isFull),
    answered: (request) => answered(metrics, request),
    metrics: () => metrics.render(),
    rules,
    next: (limit, isWanted) => keeper.next(limit, isWanted),
    nowMs: () => keeper.nowMs(),
    start: () => {
      keeper.start();
      if (!catalogue.isShared) return;
      using = setInterval(() => void tellUse(parts, readers.names, keeper.nowMs()), USE_TOLD_MS);
      using.unref();
    },
    close: async () => {
      clearInterval(using);
      await keeper.stop();
      metrics.close();
    },
  };
}

function watched(inner: Artifacts, readers: Readers, keeper: Keeper, isFull: () => boolean): Artifacts {
  return {
    ...inner,
    publish: async (request) => {
      try {
        const published = await inner.publish(request);
        if (isFull()) keeper.hurry();
        return published;
      } catch (error) {
        if (HaulError.is(error) && error.code === 'NO_SPACE') keeper.hurry();
        throw error;
      }
    },
    read: (row: ArtifactRow, range: ByteRange) => readers.read(row, inner.read(row, range)),
  };
}

/** Seeds beside us; 0 where nobody can tell. */
function copiesOf(tracker: TrackerService, { infoHash }: ArtifactRow): number {
  if (infoHash === null) return 0;
  const counts = tracker.swarms.scrape(Buffer.from(infoHash, 'hex').toString('latin1'));
  return counts === null ? 0 : Math.max(0, counts.complete - (counts.seedPort === null ? 0 : 1));
}

function answered(metrics: DepotMetrics, { path, problem, ...request }: AnsweredRequest): void {
  const isArtifact = ARTIFACT_PATH.test(path) && !TORRENT_PATH.test(path);
  metrics.request({ ...request, isArtifact, isPart: PART_PATH.test(path) });
  if (problem !== null) metrics.problem(problem);
}
