/**
 * What an engine has to do with the network, besides its peers: the door at which it listens, trackers, web seeds, the
 * DHT and the gateway. Part of the composition root.
 */
import type { Socket } from 'node:net';
import type { EngineOptions } from '../api.js';
import { DEFAULTS } from '../config.js';
import { Trackers } from '../discovery/trackers.js';
import { fromSystemError } from '../errors.js';
import type { Log } from '../log.js';
import { type Listener, listen } from '../net/listen.js';
import { EVERY_HOST, findOwnHost, type OwnHost } from '../net/own-host.js';
import { PeerFilter } from '../net/peer-filter.js';
import type { EngineInternals } from './internals.js';
import { Outside } from './outside.js';
import { EngineWebClients } from './web-clients.js';

export interface NetworkOptions {
  readonly engine: EngineOptions;
  readonly makeMappers: EngineInternals['makeMappers'];
  readonly random: () => number;
  readonly log: Log;
  /** Receives the paused sockets of peers. */
  readonly onSocket: (socket: Socket) => void;
  /** A connection could not be accepted: why, in one line. */
  readonly onTrouble: (message: string) => void;
  /** Others reach us at another port or address: torrents are to be announced again. */
  readonly onMoved: () => void;
}

export class Network {
  /** Where it listens for peers; null: it does not, or not yet. */
  port: number | null = null;
  readonly trackers: Trackers;
  readonly webClients: EngineWebClients;
  readonly outside: Outside;
  readonly filter = new PeerFilter();
  /** By which of our addresses all goes, in and out (`EngineOptions.host`); known when it is open. */
  own: OwnHost = EVERY_HOST;
  readonly #options: NetworkOptions;
  #listener: Listener | null = null;

  constructor(options: NetworkOptions) {
    this.#options = options;
    const { engine, random } = options;
    if (engine.peerFilter !== undefined) this.filter.set(engine.peerFilter);
    this.outside = new Outside(options);
    const own = (): OwnHost => this.own;
    this.webClients = new EngineWebClients({ ca: engine.ca, own });
    this.trackers = new Trackers({ random, ca: engine.ca, own });
  }

  /** @throws HaulError BAD_ARGUMENT (the host), PORT_IN_USE, NO_PERMISSION, IO; then nothing is left open */
  async open(): Promise<void> {
    const { engine, log } = this.#options;
    try {
      this.own = await findOwnHost(engine.host);
      if (engine.port !== false) await this.#listen(engine.port);
      if (this.port !== null) log('info', `listening for peers on port ${this.port}`);
      await this.outside.open(this.port, this.own);
    } catch (error) {
      await Promise.all([this.stopListening(), this.close()]);
      throw error;
    }
  }

  async #listen(port: number | undefined): Promise<void> {
    const { onSocket, onTrouble } = this.#options;
    const { first, last } = DEFAULTS.portRange;
    this.#listener = await listen({
      ports: port === undefined ? Array.from({ length: last - first + 1 }, (_, i) => first + i) : [port],
      host: this.own.listenAt,
      onSocket,
      onError: (error) => onTrouble(fromSystemError(error, 'accept connections on', `port ${this.port}`).message),
    });
    this.port = this.#listener.port;
  }

  /** Resolves when all accepted sockets are closed too. */
  async stopListening(): Promise<void> {
    await this.#listener?.close();
  }

  async close(): Promise<void> {
    await Promise.all([this.trackers.close(), this.outside.close(), this.webClients.destroy()]);
  }
}
