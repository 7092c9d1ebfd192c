/** The web seeds of one torrent without an exchange: the test asks for places and looks at what came of them. */
import type { Scope } from '../../lab/scope.js';
import { BLOCK_LENGTH_BYTES } from '../../src/config.js';
import type { PieceIndex } from '../../src/metainfo/geometry.js';
import { HttpClient } from '../../src/net/http-client.js';
import { isPrivateAddress } from '../../src/net/private-address.js';
import { Throttle } from '../../src/peer/throttle.js';
import type { Peer } from '../../src/swarm/peer.js';
import { Standings } from '../../src/webseed/standings.js';
import type { WebRemote } from '../../src/webseed/web-remote.js';
import { WebSeeds, type WebSeedsOptions } from '../../src/webseed/web-seeds.js';
import { type FileScene, type Scene, sceneOf } from '../storage/scene.js';
import { startWebServer, type WebServer } from '../support/web-server.js';

export interface WebSceneOptions extends Partial<WebSeedsOptions> {
  readonly files: readonly FileScene[];
  readonly pieceLengthBytes?: number;
}

export class WebScene {
  readonly data: Scene;
  readonly seeds: WebSeeds;
  readonly downloads: Throttle;
  /** The clock of all that is under test. */
  nowMs = 0;
  /** Those in use, the latest last. */
  readonly remotes: WebRemote[] = [];
  /** Torrent offsets of blocks, in the order in which they came. */
  readonly came: number[] = [];
  /** Of blocks that came with other bytes than those of the torrent. */
  readonly bad: number[] = [];
  /** Pieces that are verified. */
  readonly has = new Set<PieceIndex>();
  readonly peerCount = 0;
  /** Called where an exchange would ask for more. */
  onRoom: (remote: WebRemote) => void = () => {};

  constructor({ files, pieceLengthBytes = 64 * 1024, ...options }: WebSceneOptions, any: HttpClient) {
    this.data = sceneOf(files, pieceLengthBytes);
    this.downloads = options.downloads ?? new Throttle([]);
    this.seeds = new WebSeeds({
      metainfo: this.data.metainfo,
      urls: [],
      named: [],
      trackers: [],
      clients: { any, ofTrackers: any, publicOnly: any, isInside: isPrivateAddress },
      downloads: this.downloads,
      standings: new Standings(),
      now: () => this.nowMs,
      log: () => {},
      ...options,
    });
  }

  /** Those whose time has come are used. */
  use(): void {
    this.seeds.use({
      isComplete: false,
      peerCount: this.peerCount,
      have: this.has,
      scheduler: { view: { gaveBytes: () => 0 } },
      addWebSeed: (remote) => this.#join(remote),
    });
  }

  /** A second passes, as for an exchange. */
  tick(ms = 1000): void {
    this.nowMs += ms;
    for (const remote of this.remotes) if (!remote.isClosing) remote.tick(this.nowMs);
  }

  /** The one that is in use, if one is. */
  get remote(): WebRemote | undefined {
    return this.remotes.findLast(({ isClosing }) => !isClosing);
  }

  /** Asks for the blocks of these pieces, all by default. */
  ask(remote: WebRemote = this.remote!, from = 0, to: number = this.data.metainfo.geometry.pieceCount): void {
    const { geometry } = this.data.metainfo;
    for (let piece = from; piece < to; piece++) {
      const bytes = geometry.pieceEnd(piece as PieceIndex) - geometry.pieceBegin(piece as PieceIndex);
      for (let begin = 0; begin < bytes; begin += BLOCK_LENGTH_BYTES)
        remote.ask(piece as PieceIndex, begin, Math.min(BLOCK_LENGTH_BYTES, bytes - begin));
    }
  }

  #join(remote: WebRemote): Peer<WebRemote> {
    const { geometry } = this.data.metainfo;
    this.remotes.push(remote);
    let offset = 0;
    const peer = {
      slot: this.remotes.length - 1,
      setRunBlocks: () => {},
      onHaveAll: () => {},
      onUnchoke: () => {},
      onReadEnd: () => this.onRoom(remote),
      onBlockBegin: (piece: PieceIndex, begin: number) => {
        offset = geometry.pieceBegin(piece) + begin;
      },
      onBlockBytes: (source: Buffer, start: number, end: number) => {
        const isGood = source.subarray(start, end).equals(this.data.bytes.subarray(offset, offset + end - start));
        for (let at = offset; at < offset + end - start; at += BLOCK_LENGTH_BYTES) {
          this.came.push(at);
          if (!isGood) this.bad.push(at);
        }
      },
      gone: () => this.seeds.gone(remote, 0),
    };
    return peer as unknown as Peer<WebRemote>;
  }
}

/** @param host of one name for all servers that `named` and `urls` tell of */
export function startWebScene(scope: Scope, options: WebSceneOptions): WebScene {
  const client = new HttpClient();
  scope.defer(() => client.destroy());
  return new WebScene(options, client);
}

/** A server that has the files of a scene where a web seed has them: below its URL. */
export function startSceneServer(scope: Scope, files: readonly FileScene[]): Promise<WebServer> {
  const { metainfo, bytes } = sceneOf(files, 64 * 1024);
  const served = metainfo.files.map(({ path, beginBytes, lengthBytes }): [string, Buffer] => [
    `/${path.join('/')}`,
    bytes.subarray(beginBytes, beginBytes + lengthBytes),
  ]);
  return startWebServer(scope, Object.fromEntries(served));
}
