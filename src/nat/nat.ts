/**
 * Keeps ports open in the gateway: finds one that can, maps, renews at half the lifetime, looks every minute whether
 * the gateway was restarted, and unmaps at the end. Nothing here fails anybody: trouble is a line, and `report`.
 */
import type { NatStats } from '../api.js';
import type { Log } from '../log.js';
import { isPrivateAddress } from '../net/private-address.js';
import { type MappingRequest, type NatClock, natError, type PortMapper, type Protocol } from './port-mapper.js';

const LIFETIME_SECONDS = 3600;
const CHECK_MS = 60_000;
/** After a failure, doubled with each more up to the longest. */
const RETRY_MS = 30_000;
const RETRY_MAX_MS = 30 * 60_000;
/** A gateway that gives a second at a time is asked less often than that. */
const RENEW_MS_MIN = 15_000;
const UNMAP_MS = 2000;

export interface NatOptions {
  /** Those that may be asked; closed by `close`. */
  readonly mappers: readonly PortMapper[];
  /** The first is the port for peers. */
  readonly ports: readonly { readonly protocol: Protocol; readonly port: number }[];
  readonly clock: NatClock;
  readonly log: Log;
  /** The port or the address outside is another one now. */
  readonly onChange: () => void;
}

interface Held {
  readonly externalPort: number;
  readonly renewAtMs: number;
  readonly endsAtMs: number;
}

export class Nat {
  readonly #options: NatOptions;
  readonly #closing = new AbortController();
  #mapper: PortMapper | null = null;
  /** It may hold something of ours. */
  #asked: PortMapper | null = null;
  #nobody = '';
  #isPartTold = false;
  /** By index of `ports`. */
  readonly #held = new Map<number, Held>();
  #externalHost: string | null = null;
  #message = '';
  #failures = 0;
  #cancel = (): void => {};
  #round: Promise<void> = Promise.resolve();
  #told = '';
  #closed: Promise<void> | null = null;

  constructor(options: NatOptions) {
    this.#options = options;
  }

  /** Returns at once. */
  start(): void {
    this.#round = this.#turn();
  }

  get report(): NatStats {
    return {
      protocol: this.#mapper?.name ?? null,
      externalPort: this.#held.get(0)?.externalPort ?? null,
      externalAddress: this.#held.has(0) ? this.#externalHost : null,
      message: this.#message,
    };
  }

  async #turn(): Promise<void> {
    const { clock, log } = this.#options;
    let pauseMs = CHECK_MS;
    try {
      if (this.#mapper === null) await this.#begin();
      else await this.#keep(this.#mapper);
      this.#failures = 0;
      this.#message = '';
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const { message } = error as Error;
      if (message !== this.#message) log('warn', `ports are not mapped: ${message}`, { code: 'NAT' });
      this.#message = message;
      pauseMs = Math.min(RETRY_MS * 2 ** this.#failures++, RETRY_MAX_MS);
      this.#expire();
    }
    if (this.#closing.signal.aborted) return;
    this.#tell();
    const nowMs = clock.now();
    for (const { renewAtMs, endsAtMs } of this.#held.values())
      pauseMs = Math.min(pauseMs, Math.max((renewAtMs > nowMs ? renewAtMs : endsAtMs) - nowMs, RENEW_MS_MIN));
    this.#cancel = clock.later(pauseMs, () => this.start());
  }

  /** @throws HaulError nobody maps anything */
  async #begin(): Promise<void> {
    const { signal } = this.#closing;
    let candidates = this.#options.mappers;
    const faults: string[] = [];
    while (candidates.length > 0) {
      const mapper = await this.#firstOf(candidates, signal);
      if (mapper === null || signal.aborted) break;
      this.#asked = mapper;
      try {
        await this.#mapAll(mapper);
        await this.#check(mapper);
        this.#mapper = mapper;
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        // What it did map is of no use, for the next begins anew.
        await this.#unmapAll(mapper);
        this.#held.clear();
        faults.push((error as Error).message);
        candidates = candidates.filter((other) => other !== mapper);
      }
    }
    throw natError(faults.length > 0 ? faults.join('; ') : this.#nobody || 'our own address is of no gateway of IPv4');
  }

  /** The one that answers first; the others are not asked further. */
  async #firstOf(candidates: readonly PortMapper[], signal: AbortSignal): Promise<PortMapper | null> {
    const stop = new AbortController();
    const onAbort = (): void => stop.abort();
    signal.addEventListener('abort', onAbort);
    try {
      return await Promise.any(candidates.map((mapper) => mapper.find(stop.signal).then(() => mapper)));
    } catch (error) {
      this.#nobody = (error as AggregateError).errors.map((each: Error) => each.message).join('; ');
      return null;
    } finally {
      signal.removeEventListener('abort', onAbort);
      stop.abort();
    }
  }

  async #keep(mapper: PortMapper): Promise<void> {
    const before = this.#externalHost;
    const isRestarted = await this.#check(mapper);
    const nowMs = this.#options.clock.now();
    const isDue = [...this.#held.values()].some(({ renewAtMs }) => nowMs >= renewAtMs);
    const isGone = this.#held.size < this.#options.ports.length;
    if (isDue || isGone || isRestarted || before !== this.#externalHost) await this.#mapAll(mapper);
  }

  /** Whether the gateway has forgotten what it mapped. */
  async #check(mapper: PortMapper): Promise<boolean> {
    const { externalHost, isRestarted } = await mapper.check(this.#closing.signal);
    // Behind a second gateway: of no use to anybody outside.
    this.#externalHost = externalHost === null || isPrivateAddress(externalHost) ? null : externalHost;
    return isRestarted;
  }

  async #mapAll(mapper: PortMapper): Promise<void> {
    for (const index of this.#options.ports.keys()) {
      try {
        await this.#map(mapper, index);
      } catch (error) {
        if (index === 0 || this.#closing.signal.aborted) throw error;
        // That of the DHT: peers can come without it.
        if (!this.#isPartTold) this.#options.log('warn', `the UDP port is not mapped: ${(error as Error).message}`);
        this.#isPartTold = true;
      }
    }
  }

  async #map(mapper: PortMapper, index: number): Promise<void> {
    const { externalPort, lifetimeSeconds } = await mapper.map(this.#request(index), this.#closing.signal);
    const lifetimeMs = Math.min(lifetimeSeconds, LIFETIME_SECONDS) * 1000;
    const nowMs = this.#options.clock.now();
    const renewMs = Math.max(lifetimeMs / 2, RENEW_MS_MIN);
    this.#held.set(index, { externalPort, renewAtMs: nowMs + renewMs, endsAtMs: nowMs + lifetimeMs });
  }

  #request(index: number): MappingRequest {
    const { protocol, port } = this.#options.ports[index]!;
    const externalPort = this.#held.get(index)?.externalPort ?? port;
    return { protocol, internalPort: port, externalPort, lifetimeSeconds: LIFETIME_SECONDS };
  }

  /** Without an answer a mapping holds until its lifetime is over; then a gateway is looked for anew. */
  #expire(): void {
    const nowMs = this.#options.clock.now();
    for (const [index, { endsAtMs }] of this.#held) if (nowMs >= endsAtMs) this.#held.delete(index);
    if (this.#held.size === 0) this.#mapper = null;
  }

  #tell(): void {
    const { externalPort, externalAddress, protocol } = this.report;
    const now = `${externalAddress} ${externalPort}`;
    if (now === this.#told) return;
    const isNews = this.#told !== '' || externalPort !== null;
    this.#told = now;
    if (!isNews) return;
    const where = `port ${externalPort}${externalAddress === null ? '' : ` of ${externalAddress}`}`;
    if (externalPort !== null) this.#options.log('info', `${protocol}: peers outside reach us at ${where}`);
    this.#options.onChange();
  }

  /** Within two seconds. Failures are of no interest: leases end. */
  async #unmapAll(mapper: PortMapper): Promise<void> {
    const limit = new AbortController();
    const cancel = this.#options.clock.later(UNMAP_MS, () => limit.abort());
    const all = [...this.#options.ports.keys()].map((index) => mapper.unmap(this.#request(index), limit.signal));
    await Promise.allSettled(all);
    cancel();
  }

  /** Takes two seconds at most. Never rejects; idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#cancel();
    this.#closing.abort();
    await this.#round;
    if (this.#asked !== null) await this.#unmapAll(this.#asked);
    await Promise.allSettled(this.#options.mappers.map((each) => each.close()));
  }
}
