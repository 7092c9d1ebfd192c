/**
 * The DHT of an engine: a node of each family with its socket, the nodes to begin with, and the file that keeps those
 * that are known. Owns the timer of all of it. The nodes themselves are in `node.ts`.
 */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv4 } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { DhtStats } from '../api.js';
import { HaulError } from '../errors.js';
import type { Log } from '../log.js';
import { type Address, formatAddress, makeAddress } from '../net/address.js';
import { DhtSocket } from './dht-socket.js';
import { DHT_LIMITS } from './limits.js';
import type { Family } from './messages.js';
import { DhtNode } from './node.js';
import { NodeFile } from './node-file.js';
import { NO_NODES, type NodeRecord } from './node-record.js';
import type { Found } from './search.js';

const TICK_MS = 500;
/** Names of nodes to begin with are looked up again after so long, while nobody is known. */
const RESOLVE_AGAIN_MS = 60_000;

export interface DhtConfig {
  /** The first that is free is taken, of both families if it can be; 0: any. */
  readonly ports: readonly number[];
  /** Our addresses, one of each family at most; empty: all. */
  readonly hosts: readonly string[];
  /** Nodes to begin with, by address or name. */
  readonly nodes: readonly Address[];
  readonly stateFile?: string | undefined;
  readonly isReadOnly: boolean;
  readonly random: () => number;
  readonly log: Log;
}

/** A search in both families. */
export interface DhtSearch {
  cancel(): void;
}

export class Dht {
  readonly #config: DhtConfig;
  readonly #file: NodeFile | null;
  readonly #nodes = new Map<Family, DhtNode>();
  readonly #sockets = new Map<Family, DhtSocket>();
  /** Who shares a torrent here, by its info-hash. */
  readonly #sharers = new Map<string, (peers: readonly Address[]) => void>();
  #roots: readonly Address[] = [];
  #resolvedAtMs = Number.NEGATIVE_INFINITY;
  #savedAtMs = 0;
  #timer: NodeJS.Timeout | null = null;

  private constructor(config: DhtConfig) {
    this.#config = config;
    this.#file = config.stateFile === undefined ? null : new NodeFile(config.stateFile, config.log);
  }

  /** @throws HaulError PORT_IN_USE, NO_PERMISSION, IO */
  static async open(config: DhtConfig): Promise<Dht> {
    const dht = new Dht(config);
    const known = (await dht.#file?.load()) ?? NO_NODES;
    await dht.#bind();
    for (const family of dht.#sockets.keys()) dht.#nodes.set(family, dht.#makeNode(family, known));
    for (const [family, node] of dht.#nodes) node.hint(known[family].nodes);
    dht.#savedAtMs = performance.now();
    dht.#timer = setInterval(() => dht.#tick(), TICK_MS).unref();
    dht.#tick();
    config.log('info', `DHT: on UDP port ${dht.port}`);
    if (config.nodes.length + known[4].nodes.length + known[6].nodes.length === 0)
      config.log('warn', 'DHT: no node is known to begin with: others must find us first');
    return dht;
  }

  get port(): number {
    return [...this.#sockets.values()][0]!.port;
  }

  stats(): DhtStats {
    const all = [...this.#nodes.values()];
    const sum = (of: (node: DhtNode) => number): number => all.reduce((total, node) => total + of(node), 0);
    return { port: this.port, nodes: sum((node) => node.table.size), storedPeers: sum((node) => node.peers.peerCount) };
  }

  /**
   * Looks for peers of a torrent, and announces ours.
   * @param infoHash 20 bytes
   * @param port TCP port of our peer; null: nothing is announced
   * @param onPeers called as they are found
   * @param onDone once, unless it is cancelled
   */
  search(
    infoHash: Buffer,
    port: number | null,
    onPeers: (peers: readonly Address[]) => void,
    onDone: (found: Found) => void,
  ): DhtSearch {
    let left = this.#nodes.size;
    let sum: Found = { queries: 0, nodes: 0, peers: 0, hops: 0 };
    const done = (found: Found): void => {
      sum = {
        queries: sum.queries + found.queries,
        nodes: sum.nodes + found.nodes,
        peers: sum.peers + found.peers,
        hops: Math.max(sum.hops, found.hops),
      };
      if (--left === 0) onDone(sum);
    };
    const searches = [...this.#nodes.values()].map((node) => node.search(infoHash, port, onPeers, done));
    const cancel = (): void => {
      for (const search of searches) search.cancel();
    };
    return { cancel };
  }

  /** A peer that announces this torrent to us need not be looked for. @returns what ends that */
  watch(infoHash: Buffer, onPeers: (peers: readonly Address[]) => void): () => void {
    const key = infoHash.toString('latin1');
    this.#sharers.set(key, onPeers);
    return () => {
      if (this.#sharers.get(key) === onPeers) this.#sharers.delete(key);
    };
  }

  /** The UDP port at which others at that address reach our node; null: it does not answer them. */
  portFor(host: string): number | null {
    if (this.#config.isReadOnly) return null;
    return this.#sockets.get(isIPv4(host) ? 4 : 6)?.port ?? null;
  }

  /** A peer says that it has a node at that port of its own address: it is asked whether that is so. */
  heardOf(host: string, port: number): void {
    if (this.#timer !== null) this.#nodes.get(isIPv4(host) ? 4 : 6)?.heardOf({ host, port });
  }

  /** Keeps what is known. Idempotent; never rejects. */
  async close(): Promise<void> {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    for (const socket of this.#sockets.values()) socket.close();
    await this.#file?.save(this.#record());
  }

  #makeNode(family: Family, known: NodeRecord): DhtNode {
    const socket = this.#sockets.get(family)!;
    const otherFamily = family === 4 ? 6 : 4;
    return new DhtNode({
      family,
      now: () => performance.now(),
      random: this.#config.random,
      randomBytes,
      send: (bytes, to) => socket.send(bytes, to),
      ownHost: known[family].ownHost,
      isReadOnly: this.#config.isReadOnly,
      roots: () => this.#roots,
      onAnnounced: (infoHash, peer) => this.#sharers.get(infoHash.toString('latin1'))?.([peer]),
      other: () => this.#nodes.get(otherFamily) ?? null,
    });
  }

  #record(): NodeRecord {
    const of = (family: Family) => {
      const node = this.#nodes.get(family);
      if (node === undefined) return NO_NODES[family];
      const nodes = [...node.table.nodes()].filter(({ failures }) => failures === 0);
      return { nodes, ownHost: node.ownAddress.host };
    };
    return { 4: of(4), 6: of(6) };
  }

  #tick(): void {
    const nowMs = performance.now();
    const isLost = [...this.#nodes.values()].every(({ table }) => table.size === 0);
    if (isLost && nowMs - this.#resolvedAtMs > RESOLVE_AGAIN_MS) {
      this.#resolvedAtMs = nowMs;
      void this.#resolve();
    }
    for (const node of this.#nodes.values()) node.tick();
    if (nowMs - this.#savedAtMs > DHT_LIMITS.saveMs) {
      this.#savedAtMs = nowMs;
      void this.#file?.save(this.#record());
    }
  }

  /** Addresses of the nodes to begin with. Never rejects. */
  async #resolve(): Promise<void> {
    const { nodes, log } = this.#config;
    const literal = nodes.filter(({ host }) => isIP(host) !== 0);
    this.#roots = literal;
    const found = await Promise.all(
      nodes
        .filter((node) => !literal.includes(node))
        .map(async (node) => {
          try {
            const addresses = await lookup(node.host, { all: true });
            return addresses.flatMap(({ address }) => makeAddress(address, node.port) ?? []);
          } catch (error) {
            const { code } = error as NodeJS.ErrnoException;
            log('warn', `DHT: the node ${formatAddress(node)} has no address (${code})`, { node: formatAddress(node) });
            return [];
          }
        }),
    );
    this.#roots = [...literal, ...found.flat()].slice(0, DHT_LIMITS.bootstrapNodes);
  }

  async #bind(): Promise<void> {
    const { hosts, ports } = this.#config;
    let failure: unknown = null;
    for (const port of ports) {
      try {
        await this.#bindTo(hosts, port);
        return;
      } catch (error) {
        failure = error;
        for (const socket of this.#sockets.values()) socket.close();
        this.#sockets.clear();
      }
    }
    throw failure ?? new HaulError('BAD_ARGUMENT', 'DHT: no port given');
  }

  async #bindTo(hosts: readonly string[], port: number): Promise<void> {
    const isAll = hosts.length === 0;
    const ipv4 = isAll ? '0.0.0.0' : hosts.find(isIPv4);
    const ipv6 = isAll ? '::' : hosts.find((host) => !isIPv4(host));
    if (ipv4 !== undefined) await this.#openSocket(4, ipv4, port);
    if (ipv6 === undefined) return;
    try {
      await this.#openSocket(6, ipv6, this.#sockets.get(4)?.port ?? port);
    } catch (error) {
      // A machine without IPv6. A port that somebody has is another matter: both families have one.
      if (!isAll || (error instanceof HaulError && error.code === 'PORT_IN_USE')) throw error;
    }
  }

  async #openSocket(family: Family, host: string, port: number): Promise<void> {
    const onDatagram = (bytes: Buffer, from: Address): void => this.#nodes.get(family)?.receive(bytes, from);
    this.#sockets.set(family, await DhtSocket.open(family, host, port, onDatagram));
  }
}
