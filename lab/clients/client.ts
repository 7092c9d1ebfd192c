/** What every driver of a foreign client offers. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import type { Namespace } from '../namespace.js';
import type { Scope } from '../scope.js';
import type { PeerAddress } from '../tracker.js';

export interface ClientJob {
  /** Or a magnet link. */
  readonly torrentFile: string;
  /** The folder that holds, or receives, the torrent's file or folder. */
  readonly folder: string;
  /** Announce URL as this client reaches it. The only way to give peers to clients whose `takesPeers` is false. */
  readonly tracker: string;
  readonly peers?: readonly PeerAddress[];
  /** Runs the client there instead of beside us. */
  readonly namespace?: Namespace | undefined;
  readonly timeoutMs?: number;
  /** Files to download, by index from 0; default all. libtorrent and aria2 only. */
  readonly onlyFiles?: readonly number[];
  /** What may find peers besides the tracker; default nothing. A client without it ignores it. */
  readonly usesPex?: boolean;
  readonly usesLsd?: boolean;
  /** Its DHT is on and begins with this node. */
  readonly dhtNode?: PeerAddress;
  /** More of them, for a client that does nothing in a small DHT; `dhtNode` is one of them. */
  readonly dhtNodes?: readonly PeerAddress[];
  /** It listens on IPv6 too, and is reached at this address of its own. */
  readonly address6?: string;
  /** It may fetch from the web seeds of the torrent; libtorrent, aria2 and transmission do so in any case. */
  readonly usesWebSeeds?: boolean;
}

export interface ForeignClient {
  readonly name: string;
  /** Programs and modules it needs; see `missingTool`. */
  readonly needs: readonly string[];
  /** True: it refuses loopback peers and must run in a namespace. */
  readonly needsNamespace: boolean;
  readonly takesPeers: boolean;
  /** False: it leaves the torrent's empty files out. */
  readonly makesEmptyFiles: boolean;
  /** What it needs of a DHT before it announces anything; default one node, whatever its id. */
  readonly dht?: {
    readonly nodes?: number;
    /** It announces to those nodes only whose id begins with the same 16 bits as the info-hash. */
    readonly isNear?: boolean;
  };
  /** Resolves when the client says that the download is complete; the client is ended then. */
  download(scope: Scope, job: ClientJob): Promise<void>;
  /** Resolves, with its address, when the client has checked the data and accepts peers; ended with the scope. */
  seed(scope: Scope, job: ClientJob): Promise<PeerAddress>;
}

export const DOWNLOAD_TIMEOUT_MS = 60_000;

/** Address where the test reaches a client that runs for this job. */
export function reachableHost(job: ClientJob): string {
  return job.address6 ?? job.namespace?.address ?? '127.0.0.1';
}

/** The first of the named programs that is not on the PATH, or null. */
export async function missingTool(programs: readonly string[]): Promise<string | null> {
  const folders = (process.env.PATH ?? '').split(':');
  for (const program of programs) {
    const places = path.isAbsolute(program) ? [program] : folders.map((folder) => path.join(folder, program));
    const found = await Promise.all(
      places.map((place) =>
        access(place).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (!found.includes(true)) return program;
  }
  return null;
}
