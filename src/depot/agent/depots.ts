/**
 * Several depots that share what they have, as one: whoever asks does not see which of them answers. Questions go to
 * the one that is first, and to the next when it fails or lets us wait; a body that breaks off, or of which nothing
 * comes, ends, and whoever reads it opens the rest, which leads to another one. All equal: what one says holds for all,
 * also that there is no such name. The token goes to each of them.
 */
import { HaulError } from '../../errors.js';
import type { ArtifactRow } from '../catalogue/port.js';
import type { ByteRange } from '../store/port.js';
import type { AgentDepot } from './api.js';
import { drop } from './depot-answers.js';
import { DepotChoice } from './depot-choice.js';
import { DepotClient, type DepotClientOptions } from './depot-client.js';
import { DepotLooks } from './depot-looks.js';
import type { Ask, DepotPort, Named, Opened, OpenedBytes, Tiers } from './depot-port.js';
import { later, repeatedly } from './depot-timers.js';
import { DepotAway, DepotBroke, DepotFailed, DepotLies, togetherOf } from './depot-trouble.js';
import { Uploads } from './depot-uploads.js';
import { hedged, NoneAnswered } from './hedge.js';
import { trackersInOrder } from './tracker-order.js';
import { WATCH, WatchedBody } from './watched-body.js';

export interface DepotsOptions extends Omit<DepotClientOptions, 'url'> {
  /** Two or more. */
  readonly urls: readonly string[];
  readonly now?: () => number;
  /** A generator of [0, 1). */
  readonly random?: () => number;
  /** Calls again and again while something is under way. Returns how to end that. */
  readonly every?: (ms: number, call: () => void) => () => void;
  /** Resolves after so long, or when the signal fires. */
  readonly delay?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What is asked of a depot that lets us wait is asked of another one after so long; bytes, which may have to be */
const LATE_MS = 400;
/** brought from a store first, after so long. */
const LATE_BYTES_MS = 1_000;
const AT_ONCE = 3;
/** Questions that are asked twice because an answer is late, as part of all: of depots with too much to do no more. */
const SPARE_SHARE = 0.1;
const SPARE_MAX = 10;
/** One that is away is asked when no other has answered; and not for long. */
const AWAY_ANSWER_MS = 3_000;
const TICK_MS = 100;

export class Depots implements DepotPort {
  /** One of them does not answer any more, or does again. */
  onDepot: (url: string, isAway: boolean) => void = () => {};
  /** It gave wrong bytes. */
  onLie: (url: string) => void = () => {};
  /** Another one is first. */
  onFirst: () => void = () => {};
  readonly #clients: readonly DepotClient[];
  readonly #choice: DepotChoice;
  readonly #looks: DepotLooks;
  readonly #uploads: Uploads;
  readonly #now: () => number;
  readonly #delay: NonNullable<DepotsOptions['delay']>;
  readonly #every: NonNullable<DepotsOptions['every']>;
  readonly #bodies = new Set<WatchedBody>();
  readonly #followers = new Set<() => void>();
  /** Who waits for one to be found away. */
  readonly #waiting = new Set<() => void>();
  #patienceMs: number = WATCH.patienceMs;
  #spare = SPARE_MAX;
  #toldFirst = 0;
  readonly #toldAway: (boolean | null)[];
  #endTicks: (() => void) | null = null;

  constructor({ urls, now, random, every, delay, ...rest }: DepotsOptions) {
    this.#now = now ?? (() => performance.now());
    this.#every = every ?? repeatedly;
    this.#delay = delay ?? later;
    this.#clients = urls.map((url) => new DepotClient({ ...rest, url }));
    this.#toldAway = urls.map(() => null);
    this.#choice = new DepotChoice(urls.length, random ?? Math.random);
    this.#looks = new DepotLooks(this.#clients, this.#choice, this.#now, () => this.#changed());
    this.#uploads = new Uploads(this.#choice, this.#now);
  }

  get url(): string {
    return this.#clients[this.#choice.first]!.url;
  }

  get isAway(): boolean | null {
    const known = this.#clients.map((_, depot) => this.#choice.isAway(depot));
    if (known.some((isAway) => isAway === false)) return false;
    return known.every((isAway) => isAway === true) ? true : null;
  }

  get states(): readonly AgentDepot[] {
    const { first } = this.#choice;
    return this.#clients.map(({ url }, depot) => {
      const meanMs = this.#choice.meanMs(depot);
      const answerMs = meanMs === null ? null : Math.round(meanMs * 10) / 10;
      return { url, isAway: this.#choice.isAway(depot), answerMs, isFirst: depot === first };
    });
  }

  /** URLs of those that are just asked whether they are well. */
  get lookedAt(): readonly string[] {
    return this.#looks.underWay.map((depot) => this.#clients[depot]!.url);
  }

  get changes(): number {
    return this.#choice.changes;
  }

  get canOpenNamed(): boolean {
    return this.#clients[this.#order()[0]!]!.canOpenNamed;
  }

  warmUp(): void {
    this.#clients[this.#choice.first]!.openOne();
    this.tick();
  }

  tick(): void {
    this.#looks.tick(this.#followers.size > 0);
    this.#uploads.tick();
    for (const body of this.#bodies) this.#watch(body);
    this.#keepTicking();
  }

  webSeedUrls(infoHash: string, fileName: string): readonly string[] {
    return this.#order().flatMap((depot) => this.#clients[depot]!.webSeedUrls(infoHash, fileName));
  }

  follow(onChange: () => void): () => void {
    const follower = (): void => onChange();
    this.#followers.add(follower);
    this.#keepTicking();
    return () => this.#followers.delete(follower);
  }

  inOrder(trackers: Tiers): Tiers {
    const order = this.#order().map((depot) => ({
      url: this.#clients[depot]!.url,
      isAway: this.#choice.isAway(depot) === true,
    }));
    return trackersInOrder(trackers, order);
  }

  /** Of whom it was is known where all came from one. */
  blame(urls: readonly string[]): void {
    const depot = this.#clients.findIndex(({ url }) => url === urls[0]);
    if (urls.length !== 1 || depot < 0) return;
    this.onLie(urls[0]!);
    this.#choice.lied(depot, this.#now());
    this.#changed();
  }

  // ---- questions ----

  resolve(name: string, timeoutMs: number): Promise<ArtifactRow | null> {
    return this.#first(LATE_MS, (client, signal, ms) => client.resolve(name, ms(timeoutMs), signal));
  }

  torrent(name: string): Promise<Buffer | null> {
    return this.#first(LATE_MS, (client, signal) => client.torrent(name, signal));
  }

  async openNamed(name: string): Promise<Named | 'ask' | null> {
    const named = await this.#first<Named | 'ask' | null>(
      LATE_BYTES_MS,
      async (client, signal, _ms, depot) => {
        const found = client.canOpenNamed ? await client.openNamed(name, signal) : 'ask';
        if (found === null || found === 'ask') return found;
        return { ...found, opened: this.#watched(depot, found.opened) };
      },
      (found) => {
        if (found !== null && found !== 'ask') found.opened.body.destroy();
      },
    );
    return named;
  }

  open(row: ArtifactRow, range: ByteRange | null, signal: AbortSignal): Promise<OpenedBytes | null> {
    return this.#first<OpenedBytes | null>(
      LATE_BYTES_MS,
      async (client, given, _ms, depot) => {
        const opened = await client.open(row, range, AbortSignal.any([signal, given]));
        return opened === null ? null : this.#watched(depot, opened);
      },
      (opened) => opened?.body.destroy(),
    );
  }

  ask(path: string, options: Ask): Promise<Opened> {
    const { method = 'GET', signal } = options;
    if (method === 'PUT' || method === 'DELETE') return this.#send(path, options);
    return this.#first(
      LATE_MS,
      (client, given, ms) => {
        const both = signal === undefined ? given : AbortSignal.any([signal, given]);
        return client.ask(path, { ...options, timeoutMs: ms(options.timeoutMs), signal: both });
      },
      ({ body }) => drop(body),
    );
  }

  /** The answer of whichever gives one. @throws as `DepotPort.resolve` */
  async #first<T>(
    lateMs: number,
    ask: (client: DepotClient, signal: AbortSignal, ms: (wanted: number) => number, depot: number) => Promise<T>,
    dropAnswer: (answer: T) => void = () => {},
  ): Promise<T> {
    this.#spare = Math.min(SPARE_MAX, this.#spare + SPARE_SHARE);
    try {
      return await hedged<T>({
        targets: this.#order(),
        atOnce: AT_ONCE,
        ask: (depot, signal) => {
          const isAway = this.#choice.isAway(depot) === true;
          const ms = (wanted: number): number => (isAway ? Math.min(wanted, AWAY_ANSWER_MS) : wanted);
          return this.#noted(depot, ask(this.#clients[depot]!, signal, ms, depot));
        },
        isFailure: (error) => error instanceof DepotAway || error instanceof DepotLies,
        late: (depot, signal) => this.#late(depot, lateMs, signal),
        drop: dropAnswer,
      });
    } catch (error) {
      throw error instanceof NoneAnswered ? togetherOf(error.errors) : error;
    }
  }

  /** It lets us wait for too long: it is looked at, and another one is asked beside it. */
  async #late(depot: number, lateMs: number, signal: AbortSignal): Promise<void> {
    await this.#delay(lateMs, signal);
    if (signal.aborted) return;
    this.#choice.suspect(depot, this.#now());
    this.tick();
    if (this.#choice.isAway(depot) === true) return;
    if (this.#spare >= 1) {
      this.#spare--;
      return;
    }
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!signal.aborted && this.#choice.isAway(depot) !== true) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      signal.addEventListener('abort', look, { once: true });
      this.#keepTicking();
    });
  }

  /** What came of it says how the depot is. */
  async #noted<T>(depot: number, asked: Promise<T>): Promise<T> {
    try {
      const answer = await asked;
      this.#choice.answered(depot, this.#now());
      return answer;
    } catch (error) {
      this.#note(depot, error);
      throw error;
    } finally {
      this.#changed();
    }
  }

  #note(depot: number, error: unknown): void {
    const nowMs = this.#now();
    if (error instanceof DepotFailed) {
      const { retrySeconds } = error;
      this.#choice.busy(depot, retrySeconds === null ? null : retrySeconds * 1000, nowMs);
    } else if (error instanceof DepotAway) this.#choice.broke(depot, nowMs);
    else if (error instanceof DepotLies) this.#choice.lied(depot, nowMs);
    // What refuses is there.
    else if (!(error instanceof HaulError && error.code === 'ABORTED')) this.#choice.answered(depot, nowMs);
  }

  // ---- what changes something ----

  /** Another one gets it only where nothing, or all of it once more, can leave. @throws DepotAway, DepotFailed */
  async #send(path: string, options: Ask): Promise<Opened> {
    const upload = this.#uploads.begin(options);
    const errors: unknown[] = [];
    this.#keepTicking();
    try {
      for (const depot of this.#order()) {
        try {
          return await this.#noted(depot, this.#clients[depot]!.ask(path, upload.options(depot)));
        } catch (given) {
          const error = upload.errorOf(given);
          if (!(error instanceof DepotAway)) throw error;
          errors.push(error);
          if (!upload.mayGoOn(error)) throw new DepotBroke(error.message);
        }
      }
    } finally {
      upload.end();
    }
    throw togetherOf(errors);
  }

  // ---- bodies ----

  #watched(depot: number, opened: OpenedBytes): OpenedBytes {
    const body: WatchedBody = new WatchedBody(depot, opened.body, {
      now: this.#now,
      over: () => this.#bodies.delete(body),
      broke: () => {
        this.#choice.broke(depot, this.#now());
        this.#changed();
      },
    });
    this.#bodies.add(body);
    this.#keepTicking();
    return { ...opened, body };
  }

  #watch(body: WatchedBody): void {
    const nowMs = this.#now();
    const quietMs = body.quietMs(nowMs);
    if (quietMs < WATCH.quietMs) return;
    const { depot } = body;
    this.#choice.suspect(depot, nowMs);
    this.#looks.tick(false);
    // Without another one that is well it may come yet.
    if (!this.#clients.some((_, other) => other !== depot && this.#choice.isAway(other) === false)) return;
    if (this.#choice.isAway(depot) === true) body.giveUp('its depot does not answer any more');
    else if (quietMs >= this.#patienceMs) {
      this.#choice.busy(depot, this.#patienceMs, nowMs);
      this.#patienceMs = Math.min(WATCH.patienceMaxMs, this.#patienceMs * 2);
      body.giveUp('nothing comes any more');
      this.#changed();
    }
  }

  // ---- the rest ----

  #order(): readonly number[] {
    return this.#choice.order(this.#now());
  }

  #changed(): void {
    this.#clients.forEach(({ url }, depot) => {
      const isAway = this.#choice.isAway(depot);
      const before = this.#toldAway[depot];
      this.#toldAway[depot] = isAway;
      if (isAway !== null && isAway !== before && (isAway || before === true)) this.onDepot(url, isAway);
    });
    for (const look of this.#waiting) look();
    const { first } = this.#choice;
    if (first === this.#toldFirst) return;
    this.#toldFirst = first;
    this.onFirst();
    for (const follower of this.#followers) follower();
  }

  get #isBusy(): boolean {
    const { size } = this.#bodies;
    return size + this.#followers.size + this.#waiting.size + this.#uploads.count > 0 || this.#looks.isUnderWay;
  }

  #keepTicking(): void {
    if (!this.#isBusy) {
      this.#endTicks?.();
      this.#endTicks = null;
    } else this.#endTicks ??= this.#every(TICK_MS, () => this.tick());
  }

  async destroy(): Promise<void> {
    this.#looks.end();
    this.#bodies.clear();
    this.#followers.clear();
    this.#endTicks?.();
    await Promise.all(this.#clients.map((client) => client.destroy()));
  }
}
