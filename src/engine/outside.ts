/**
 * How the world finds an engine besides its trackers' word: the DHT, the local network, and the ports that a gateway
 * maps. Each part is loaded when it is asked for. Part of the composition root.
 */
import { performance } from 'node:perf_hooks';
import type { EngineOptions, EngineStats } from '../api.js';
import type { Dht } from '../dht/dht.js';
import type { Log } from '../log.js';
import type { Lsd } from '../lsd/lsd.js';
import type { Nat } from '../nat/nat.js';
import type { NatClock, PortMapper } from '../nat/port-mapper.js';
import type { OwnHost } from '../net/own-host.js';
import { openDht } from './dht.js';

/** Whoever announces everything anew with each whim of a gateway floods the trackers. */
const TOLD_AGAIN_MS = 5 * 60_000;

/** What others are told of us, as it is now. */
export interface Reached {
  /** For peers; null: nobody can dial us. */
  readonly port: number | null;
  /** What trackers are told instead of what they see. */
  readonly announceAs?: { readonly host?: string | undefined; readonly port?: number | undefined } | undefined;
  /** Why a gateway that was to map our port has not, one line; null: it has, or was not to. */
  readonly mappingTrouble: string | null;
}

export interface OutsideOptions {
  readonly engine: EngineOptions;
  readonly random: () => number;
  readonly log: Log;
  /** Others reach us at another port or address: torrents are to be announced again. */
  readonly onMoved: () => void;
  /** Default: those of the system's gateway. */
  readonly makeMappers?: ((clock: NatClock) => readonly PortMapper[]) | undefined;
}

export class Outside implements Reached {
  dht: Dht | null = null;
  lsd: Lsd | null = null;
  #nat: Nat | null = null;
  #peerPort: number | null = null;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  readonly #options: OutsideOptions;

  constructor(options: OutsideOptions) {
    this.#options = options;
  }

  /** @throws HaulError PORT_IN_USE, NO_PERMISSION, IO: of the DHT only */
  async open(peerPort: number | null, own: OwnHost): Promise<void> {
    const { engine, random, log } = this.#options;
    this.#peerPort = peerPort;
    if (engine.dht !== undefined) this.dht = await openDht(engine, own.listenAt, peerPort, random, log);
    if (engine.lsd === true) await this.#openLsd(peerPort, own);
    if (engine.nat !== undefined && peerPort !== null) await this.#openNat(peerPort, own);
  }

  /** Told is the port of this machine, whatever a gateway maps to it. */
  async #openLsd(port: number | null, own: OwnHost): Promise<void> {
    const { Lsd: Opened } = await import('../lsd/lsd.js');
    this.lsd = await Opened.open({ host: own.listenAt[0], port, log: this.#options.log });
  }

  async #openNat(peerPort: number, own: OwnHost): Promise<void> {
    const { engine, random, log, makeMappers } = this.#options;
    const { Nat: Opened, systemMappers } = await import('../nat/open.js');
    const udpPort = this.dht?.stats().port;
    this.#nat = new Opened({
      mappers: makeMappers?.(CLOCK) ?? (await systemMappers(engine.nat?.gateway, CLOCK, random, own)),
      ports: [
        { protocol: 'tcp', port: peerPort },
        ...(udpPort === undefined ? [] : [{ protocol: 'udp' as const, port: udpPort }]),
      ],
      clock: CLOCK,
      log,
      onChange: () => this.#moved(),
    });
    this.#nat.start();
  }

  #moved(): void {
    const nowMs = performance.now();
    if (nowMs - this.#toldAtMs < TOLD_AGAIN_MS) return;
    this.#toldAtMs = nowMs;
    this.#options.onMoved();
  }

  get port(): number | null {
    return this.#options.engine.announceAs?.port ?? this.#nat?.report.externalPort ?? this.#peerPort;
  }

  get announceAs(): Reached['announceAs'] {
    const given = this.#options.engine.announceAs;
    const mapped = this.#nat?.report.externalAddress ?? null;
    return given?.host !== undefined || mapped === null ? given : { ...given, host: mapped };
  }

  get mappingTrouble(): string | null {
    const message = this.#nat?.report.message ?? '';
    return message === '' ? null : message;
  }

  stats(): Pick<EngineStats, 'dht' | 'nat' | 'lsd'> {
    return { dht: this.dht?.stats() ?? null, nat: this.#nat?.report ?? null, lsd: this.lsd?.stats() ?? null };
  }

  async close(): Promise<void> {
    await Promise.all([this.dht?.close(), this.lsd?.close(), this.#nat?.close()]);
  }
}

/** Not `unref`: the end of an engine waits for the last words to its gateway. */
const CLOCK: NatClock = {
  now: () => performance.now(),
  later: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
