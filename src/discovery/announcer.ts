/**
 * Announces one torrent to its trackers: the shell around `Tiers`. Owns the requests under way; must not know HTTP.
 * Time comes with `tick`; results are dated when they arrive: a quiet torrent is not ticked while its announce is under
 * way.
 */
import type { TrackerReport } from '../api.js';
import { type ErrorCode, HaulError } from '../errors.js';
import type { Address } from '../net/address.js';
import { shownUrl } from '../net/url.js';
import type { AnnounceEvent, AnnounceFigures, AnnounceReply, AnnounceRequest } from './announce.js';
import type { PeerSource } from './source.js';
import { Tiers } from './tiers.js';
import { TrackerRecord } from './tracker-record.js';

/** How long `stop` waits for trackers to hear 'stopped'. */
export const STOP_TIMEOUT_MS = 3_000;

/** Failures of trackers that have said nothing: they may be on their way back. */
const UNREACHED: ReadonlySet<ErrorCode> = new Set(['NETWORK', 'TIMEOUT']);

export type AnnounceOutcome = 'ok' | 'warning' | 'failure';

export interface AnnouncerOptions {
  /** Tiers of tracker URLs (BEP 12). */
  readonly trackers: readonly (readonly string[])[];
  readonly infoHash: Uint8Array;
  readonly peerId: Uint8Array;
  /** 32-bit unsigned, the same in all announces of a torrent. */
  readonly key?: number;
  /** What trackers are told instead of what they see and of the port we listen on. */
  readonly announceAs?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
  /** Where this host is (`zone.ts`); nothing is said when absent. */
  readonly zone?: string;
  /**
   * Sends one announce; must settle soon after `signal` fires. Rejections are reported, not thrown.
   * @param onSending to be called when it has its turn: from then on the tracker may know of it
   */
  readonly announce: (
    url: string,
    request: AnnounceRequest,
    signal: AbortSignal,
    onSending: () => void,
  ) => Promise<AnnounceReply>;
  /** A generator of [0, 1). */
  readonly random: () => number;
  /** The clock of `tick`, in milliseconds, when a result arrives. */
  readonly now: () => number;
  readonly onPeers: (addresses: readonly Address[], url: string) => void;
  /** `url` and `message` (one line) are fit to be shown. */
  readonly onOutcome: (url: string, outcome: AnnounceOutcome, message: string) => void;
  readonly stopTimeoutMs?: number;
}

interface UnderWay {
  readonly url: string;
  readonly controller: AbortController;
  /** False: it waits for its turn. */
  isSent: boolean;
}

export class Announcer implements PeerSource {
  readonly foundBy = 'tracker';
  readonly #options: AnnouncerOptions;
  readonly #tiers: Tiers;
  /** What each tracker gave as `tracker id`. */
  #trackerIds: Map<string, Uint8Array> | null = null;
  #unsupported: string[] | null = null;
  readonly #record = new TrackerRecord();
  #stats: (() => AnnounceFigures) | null = null;
  #nowMs = 0;
  #underWay: UnderWay | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    const supported = options.trackers.map((tier) => tier.filter((url) => this.#isSupported(url)));
    this.#tiers = new Tiers(supported, options.random);
    for (const url of this.#tiers.order.flat()) this.#record.expect(url);
    for (const url of this.#unsupported ?? []) this.#record.unsupported(url, unsupportedText(url));
  }

  /** True when there is no tracker to announce to. */
  get isEmpty(): boolean {
    return this.#tiers.isEmpty;
  }

  /** Every tracker, also those we cannot talk to, and how it answered last. */
  reports(): readonly TrackerReport[] {
    return this.#record.reports;
  }

  /** Begins to announce: 'started' goes out now. Trackers we cannot talk to are reported here, once. */
  start(nowMs: number, statsFn: () => AnnounceFigures): void {
    if (this.#stats !== null || this.#stopping !== null) return;
    this.#stats = statsFn;
    for (const url of this.#unsupported ?? []) this.#options.onOutcome(shownUrl(url), 'warning', unsupportedText(url));
    this.#tiers.start(nowMs);
    this.tick(nowMs);
  }

  /** Sends what is due. Cheap; call it several times a second. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.isEmpty || this.#stats === null || this.#stopping !== null || this.#underWay !== null) return;
    const stats = this.#stats();
    const { isHungry = false, isAlone = false } = stats;
    const url = this.#tiers.due(nowMs, { isHungry, isAlone });
    if (url !== null) this.#send(url, stats);
  }

  /** When a seed without peers announces next; Infinity: while an announce is under way, and never. */
  get dueAtMs(): number {
    if (this.isEmpty || this.#stats === null || this.#stopping !== null) return Number.POSITIVE_INFINITY;
    return this.#tiers.dueAtMs({ isHungry: false, isAlone: true });
  }

  /** The next announce comes at once, whatever pause there is. */
  announceNow(nowMs: number): void {
    this.#tiers.hurry(nowMs);
    this.tick(nowMs);
  }

  /** The download is complete: the trackers hear of it at once (BEP 3). */
  completed(nowMs: number): void {
    this.#tiers.completed(nowMs);
    this.tick(nowMs);
  }

  /**
   * Tells the trackers that knew us that we leave. Resolves when they heard or the time is up; never rejects.
   * Idempotent.
   */
  stop(nowMs: number): Promise<void> {
    this.#stopping ??= this.#sayStopped(nowMs);
    return this.#stopping;
  }

  /** Ends without a word: the same peer goes on announcing elsewhere. */
  abandon(): void {
    this.#stopping ??= Promise.resolve();
    this.#underWay?.controller.abort();
    this.#underWay = null;
  }

  #isSupported(url: string): boolean {
    if (/^(?:https?|udp):\/\//i.test(url)) return true;
    this.#unsupported ??= [];
    if (this.#unsupported.length < 20 && !this.#unsupported.includes(url)) this.#unsupported.push(url);
    return false;
  }

  #send(url: string, stats: AnnounceFigures): void {
    const event = this.#tiers.eventFor(url);
    const underWay: UnderWay = { url, controller: new AbortController(), isSent: false };
    const onSending = (): void => {
      underWay.isSent = true;
    };
    this.#underWay = underWay;
    this.#tiers.begun();
    this.#options.announce(url, this.#request(url, stats, event), underWay.controller.signal, onSending).then(
      (reply) => {
        if (this.#underWay === underWay) this.#answered(url, event, reply);
      },
      (error: unknown) => {
        if (this.#underWay === underWay) this.#failed(url, error);
      },
    );
  }

  #answered(url: string, event: AnnounceEvent | undefined, reply: AnnounceReply): void {
    this.#underWay = null;
    this.#nowMs = Math.max(this.#nowMs, this.#options.now());
    if (reply.trackerId !== null) {
      this.#trackerIds ??= new Map();
      this.#trackerIds.set(url, reply.trackerId);
    }
    this.#tiers.succeeded(this.#nowMs, event, reply.intervalMs, reply.minIntervalMs);
    const shown = shownUrl(url);
    if (reply.warning !== null) this.#options.onOutcome(shown, 'warning', reply.warning);
    this.#record.answered(url, summary(reply, event));
    this.#options.onOutcome(shown, 'ok', summary(reply, event));
    if (reply.peers.length > 0) this.#options.onPeers(reply.peers, url);
  }

  #failed(url: string, error: unknown): void {
    this.#underWay = null;
    this.#nowMs = Math.max(this.#nowMs, this.#options.now());
    this.#tiers.failed(this.#nowMs, !(error instanceof HaulError) || !UNREACHED.has(error.code));
    const message = error instanceof HaulError ? error.message : `tracker ${shownUrl(url)}: ${String(error)}`;
    this.#record.failed(url, message);
    this.#options.onOutcome(shownUrl(url), 'failure', message);
  }

  #request(url: string, stats: AnnounceFigures, event: AnnounceEvent | undefined): AnnounceRequest {
    const { infoHash, peerId, key, zone, announceAs } = this.#options;
    const trackerId = this.#trackerIds?.get(url);
    return {
      infoHash,
      peerId,
      port: announceAs?.port ?? stats.port,
      ...(announceAs?.host === undefined ? {} : { ip: announceAs.host }),
      uploadedBytes: stats.uploadedBytes,
      downloadedBytes: stats.downloadedBytes,
      leftBytes: stats.leftBytes,
      numwant: stats.numwant,
      ...(event === undefined ? {} : { event }),
      ...(key === undefined ? {} : { key }),
      ...(trackerId === undefined ? {} : { trackerId }),
      ...(zone === undefined ? {} : { zone }),
    };
  }

  async #sayStopped(nowMs: number): Promise<void> {
    this.#nowMs = nowMs;
    const told = new Set(this.#tiers.stop());
    if (this.#underWay !== null) {
      // It may have arrived already: without a 'stopped' this tracker would hand our address out until it expires.
      if (this.#underWay.isSent) told.add(this.#underWay.url);
      this.#underWay.controller.abort();
      this.#underWay = null;
    }
    if (told.size === 0 || this.#stats === null) return;
    const stats = { ...this.#stats(), numwant: 0 };
    const controller = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const timeUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.stopTimeoutMs ?? STOP_TIMEOUT_MS);
    });
    const farewells = [...told].map((url) =>
      this.#options.announce(url, this.#request(url, stats, 'stopped'), controller.signal, () => {}),
    );
    await Promise.race([Promise.allSettled(farewells), timeUp]);
    clearTimeout(timer);
    controller.abort();
  }
}

function unsupportedText(url: string): string {
  const scheme = URL.canParse(url) ? new URL(url).protocol.slice(0, -1) : '';
  return scheme === '' ? 'not a tracker URL' : `${scheme} trackers are not supported yet`;
}

function summary(reply: AnnounceReply, event: AnnounceEvent | undefined): string {
  const parts = [`${event ?? 'announced'}, ${reply.peers.length} peers`];
  if (reply.complete !== null) parts.push(`${reply.complete} seeds`);
  if (reply.incomplete !== null) parts.push(`${reply.incomplete} leeches`);
  return parts.join(', ');
}
