/**
 * The depot's figures in the text format of Prometheus. What others count is asked for when somebody looks; what only
 * passes by (requests, problems) is counted here. Labels have few values, and none comes from a client: no name, no
 * peer, no token.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Registry } from 'prom-client';
import type { SharingState } from '../tracker/shared/sharing.js';
import type { CatalogueCounts, ExpiryReason } from './catalogue/port.js';
import type { Check } from './http/inside.js';
import type { StoreTraffic } from './store/port.js';

const PREFIX = 'haul_depot_';
/** An idle depot is not to be woken often for its own figures; a stall shorter than that is none. */
const LOOP_RESOLUTION_MS = 200;
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS']);
const PROBLEM = /^[A-Z][A-Z_]{0,31}$/;
/** Codes of problems are a closed set; whoever forgets that fills no table here. */
const PROBLEMS_MAX = 64;
const OTHER = 'OTHER';

/** Asked at each look. What fails or is null is left out. */
export interface DepotFigures {
  counts(): Promise<CatalogueCounts>;
  /** Own blobs and uploads. */
  storedBytes(): number;
  disk(): Promise<{ readonly freeBytes: number; readonly totalBytes: number } | null>;
  /** Torrents that are awake, their peers, and what went to them since the start. */
  swarm(): { readonly torrentsAwake: number; readonly peers: number; readonly uploadedBytes: number };
  /** Peers that the tracker knows, and announces that it answered since the start. */
  tracker(): { readonly peers: number; readonly announces: number } | null;
  /** Peers that several trackers know together; null: this one is on its own. */
  sharing(): SharingState | null;
  /** Bytes of blobs between this depot, a store elsewhere and the other depots of that; null: it is in a folder. */
  elsewhere(): StoreTraffic | null;
  /** Other depots of the store that are there, and wrong chunks that they gave; null: there are none. */
  siblings(): { readonly count: number; readonly lies: number } | null;
  /** What `/readyz` says of each thing that it stands on. */
  ready(): Promise<readonly Pick<Check, 'name' | 'isReady'>[]>;
  /** Names that house-keeping removed since the start, and whether it does not believe the clock. */
  keep(): { readonly removed: Readonly<Record<ExpiryReason, number>>; readonly isClockDoubted: boolean } | null;
}

/** Of an answered request. */
export interface RequestFigures {
  readonly method: string;
  readonly status: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** It is about bytes of an artifact: not a listing, a page or a torrent. */
  readonly isArtifact: boolean;
  /** Parts of one, for a torrent: no download of its own, but bytes of one. */
  readonly isPart: boolean;
}

export class DepotMetrics {
  readonly #registry = new Registry();
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  readonly #requests: Counter<'method' | 'status'>;
  readonly #uploads: Counter;
  readonly #uploadedBytes: Counter;
  readonly #downloads: Counter<'source'>;
  readonly #problems: Counter<'type'>;
  readonly #problemTypes = new Set<string>();
  /** Bytes of artifacts by HTTP; the swarm's are asked for. */
  #httpBytes = 0;

  constructor(figures: DepotFigures) {
    const registers = [this.#registry];
    const counter = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter<Label>({ name: PREFIX + name, help, labelNames, registers });
    this.#requests = counter('requests_total', 'HTTP requests that were answered', ['method', 'status']);
    this.#uploads = counter('uploads_total', 'Artifacts that were published by HTTP');
    this.#uploadedBytes = counter('uploaded_bytes_total', 'Bytes of bodies of those requests');
    this.#downloads = counter('downloads_total', 'Artifacts that were fetched, whole or in part, by HTTP', ['source']);
    this.#problems = counter('problems_total', 'Answers that were problems, by type', ['type']);
    this.#stored(figures, registers);
    this.#swarm(figures, registers);
    this.#shared(figures, registers);
    this.#elsewhere(figures, registers);
    this.#ready(figures, registers);
    this.#house(figures, registers);
    this.#process(registers);
    this.#loop.enable();
  }

  request({ method, status, sentBytes, receivedBytes, isArtifact, isPart }: RequestFigures): void {
    this.#requests.inc({ method: METHODS.has(method) ? method : OTHER, status: statusLabel(status) });
    if (method === 'GET' && (isArtifact || isPart)) this.#httpBytes += sentBytes;
    if (!isArtifact) return;
    if (status < 200 || status > 299) return;
    if (method === 'PUT') {
      this.#uploads.inc();
      this.#uploadedBytes.inc(receivedBytes);
    } else if (method === 'GET') this.#downloads.inc({ source: 'http' });
  }

  /** @param code as `Problem` has it */
  problem(code: string): void {
    const isKnown = this.#problemTypes.has(code) || (PROBLEM.test(code) && this.#problemTypes.size < PROBLEMS_MAX);
    if (isKnown) this.#problemTypes.add(code);
    this.#problems.inc({ type: isKnown ? code : OTHER });
  }

  /** Never rejects because a figure cannot be had. */
  async render(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  close(): void {
    this.#loop.disable();
    this.#registry.clear();
  }

  #stored(figures: DepotFigures, registers: Registry[]): void {
    const counts = cached(() => figures.counts());
    gauge(registers, 'artifacts', 'Names', async () => (await counts()).names);
    gauge(registers, 'blobs', 'Blobs that have a name', async () => (await counts()).blobs);
    gauge(registers, 'blob_bytes', 'Bytes of those, each counted once', async () => (await counts()).blobBytes);
    gauge(registers, 'stored_bytes', 'Bytes of blobs and of uploads under way', () => figures.storedBytes());
    const disk = cached(() => figures.disk());
    gauge(registers, 'disk_free_bytes', 'Free on the disk of the store', async () => (await disk())?.freeBytes);
    gauge(registers, 'disk_total_bytes', 'Size of that disk', async () => (await disk())?.totalBytes);
  }

  #swarm(figures: DepotFigures, registers: Registry[]): void {
    gauge(registers, 'torrents_awake', 'Torrents that somebody wants now', () => figures.swarm().torrentsAwake);
    gauge(registers, 'peers', 'Peers that are connected', () => figures.swarm().peers);
    gauge(registers, 'tracker_peers', 'Peers that the tracker knows', () => figures.tracker()?.peers);
    total(registers, 'tracker_announces_total', 'Announces that were answered', [], (set) => {
      const tracker = figures.tracker();
      if (tracker !== null) set({}, tracker.announces);
    });
    total(registers, 'downloaded_bytes_total', 'Bytes of artifacts that left, by how', ['source'], (set) => {
      set({ source: 'http' }, this.#httpBytes);
      set({ source: 'peers' }, figures.swarm().uploadedBytes);
    });
  }

  #shared(figures: DepotFigures, registers: Registry[]): void {
    const asked = () => figures.sharing() ?? undefined;
    gauge(registers, 'shared_peers_up', '1 while peers are shared with other depots', () => {
      const state = asked();
      return state === undefined ? undefined : Number(state.trouble === null);
    });
    gauge(registers, 'shared_peers_waiting', 'Words about peers that wait to be told', () => asked()?.waiting);
    total(registers, 'shared_peers_words_total', 'Words about peers, by what became of them', ['what'], (set) => {
      const state = asked();
      if (state === undefined) return;
      for (const what of ['written', 'read', 'dropped', 'foreign'] as const) set({ what }, state[what]);
    });
  }

  #elsewhere(figures: DepotFigures, registers: Registry[]): void {
    total(
      registers,
      'brought_bytes_total',
      'Bytes of blobs that came into the cache, by where from',
      ['from'],
      (set) => {
        const traffic = figures.elsewhere();
        if (traffic === null) return;
        set({ from: 'store' }, traffic.fromStore);
        set({ from: 'depots' }, traffic.fromDepots);
      },
    );
    total(registers, 'given_bytes_total', 'Bytes of blobs that other depots of the store took', [], (set) => {
      const traffic = figures.elsewhere();
      if (traffic !== null) set({}, traffic.toDepots);
    });
    gauge(registers, 'other_depots', 'Other depots of the store that are there', () => figures.siblings()?.count);
    total(registers, 'wrong_parts_total', 'Wrong bytes that other depots gave, which nobody saw', [], (set) => {
      const siblings = figures.siblings();
      if (siblings !== null) set({}, siblings.lies);
    });
  }

  #ready({ ready }: DepotFigures, registers: Registry[]): void {
    new Gauge({
      name: `${PREFIX}ready`,
      help: '1 where what it stands on works, as /readyz has it',
      labelNames: ['check'],
      registers,
      async collect() {
        const checks = await ready().catch(() => []);
        this.reset();
        for (const { name, isReady } of checks) this.set({ check: name }, Number(isReady));
      },
    });
  }

  #house(figures: DepotFigures, registers: Registry[]): void {
    total(registers, 'removals_total', 'Names that house-keeping removed, by why', ['reason'], (set) => {
      const removed = figures.keep()?.removed;
      for (const reason of ['age', 'idle', 'watermark'] as const) {
        if (removed !== undefined) set({ reason }, removed[reason]);
      }
    });
    gauge(registers, 'clock_doubted', '1 while nothing goes by age, as the clock jumped', () => {
      const keep = figures.keep();
      return keep === null ? undefined : Number(keep.isClockDoubted);
    });
  }

  #process(registers: Registry[]): void {
    const seconds = (nanoseconds: number) => (Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9) : 0);
    const late = (nanoseconds: number) => Math.max(0, seconds(nanoseconds) - LOOP_RESOLUTION_MS / 1000);
    new Gauge({
      name: `${PREFIX}event_loop_delay_seconds`,
      help: 'How late the event loop was since the last look',
      labelNames: ['quantile'],
      registers,
      collect: () => {
        const found = registers[0]!.getSingleMetric(`${PREFIX}event_loop_delay_seconds`) as Gauge<'quantile'>;
        found.set({ quantile: '0.5' }, late(this.#loop.percentile(50)));
        found.set({ quantile: '0.99' }, late(this.#loop.percentile(99)));
        found.set({ quantile: '1' }, late(this.#loop.max));
        this.#loop.reset();
      },
    });
    gauge(registers, 'resident_bytes', 'Memory of the process', () => process.memoryUsage.rss());
    total(registers, 'cpu_seconds_total', 'CPU time of the process', [], (set) => {
      const { user, system } = process.cpuUsage();
      set({}, (user + system) / 1e6);
    });
    gauge(registers, 'start_time_seconds', 'When it started, since 1970', startTime);
  }
}

const STARTED = Date.now() / 1000 - process.uptime();
const startTime = () => STARTED;

/** Statuses are three digits; anything else never got an answer. */
function statusLabel(status: number): string {
  return status >= 100 && status <= 599 ? String(Math.floor(status)) : '0';
}

/** Figures of one look are one: they are asked for once. */
function cached<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null;
  return () => {
    asked ??= ask().finally(() => {
      asked = null;
    });
    return asked;
  };
}

function gauge(
  registers: Registry[],
  name: string,
  help: string,
  ask: () => number | undefined | Promise<number | undefined>,
): void {
  new Gauge({
    name: PREFIX + name,
    help,
    registers,
    async collect() {
      this.reset();
      try {
        const value = await ask();
        if (value === undefined) this.remove();
        else this.set(value);
      } catch {
        // It is not known now, which is not 0.
        this.remove();
      }
    },
  });
}

type Set<Label extends string> = (labels: Partial<Record<Label, string>>, value: number) => void;

/** A counter that others keep. */
function total<Label extends string>(
  registers: Registry[],
  name: string,
  help: string,
  labelNames: Label[],
  ask: (set: Set<Label>) => void,
): void {
  new Counter<Label>({
    name: PREFIX + name,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      // 0 would look as if it had begun anew.
      if (labelNames.length === 0) this.remove();
      try {
        ask((labels, value) => this.inc(labels as never, value));
      } catch {
        // It is not known now.
      }
    },
  });
}
