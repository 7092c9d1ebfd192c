/**
 * `haul publish --p2p`: the depot is told the torrent, and fetches the bytes from us as a peer. What it has got it
 * keeps: the same command goes on where one broke off. Owns the engine that seeds, and files of ours under the names
 * that they have in their torrents.
 */
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Engine, Torrent } from '../api.js';
import { choosePieceLength } from '../content/create.js';
import { type BlobPieces, blobTorrent } from '../depot/blob-info.js';
import { jsonOf, type SaidArrival, saidArrival } from '../depot/depot-said.js';
import { DiskThread } from '../depot/disk-threads.js';
import type { HeldFolder } from '../depot/held-folder.js';
import { reprDigest } from '../depot/http/conditions.js';
import { fileNameOf } from '../depot/names.js';
import { DEPOT_DEFAULTS } from '../depot/publish.js';
import { hashFile } from '../depot/store/verify.js';
import { type ErrorCode, fromSystemError, HaulError } from '../errors.js';
import { parseTorrent } from '../metainfo/torrent.js';
import { stampOf } from '../storage/stamp-files.js';
import { type FileStamp, isUnchanged } from '../work/file-stamp.js';
import { type DepotArtifact, DepotClient, readAnswer, STATUS_CODES } from './depot-client.js';
import { openEngine, watchTorrent } from './engine-door.js';
import { printable } from './format.js';
import type { EngineCliOptions } from './options.js';
import type { Output } from './output.js';
import { TimeLimits } from './patience.js';
import { linkFolder } from './publish-links.js';
import { isTransient } from './retry.js';
import { delayOrAborted } from './wait.js';

/** Where nothing comes to the depot for so long the file is looked at: it may be another one by now. */
const QUIET_MS = 2_000;
/** How often the depot is asked how far it is. */
const ASK_MS = 500;
/** A depot that was started anew, or a line that fell, is dialled again. */
const DIAL_AGAIN_MS = 5_000;

export interface GivingOptions {
  readonly output: Output;
  readonly client: DepotClient;
  readonly engine: EngineCliOptions;
  readonly retentionDays: number | null;
  readonly replicas: number | null;
  readonly overwrite: boolean;
  /** Nothing came to the depot for so long: it is given up. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Told while one is given. */
export interface GivingProgress {
  hashed(bytes: number): void;
  /** So many more bytes of it are at the depot; less than 0: it has lost some. */
  received(bytes: number): void;
  /** So many more were given to peers. */
  given(bytes: number): void;
}

export interface Given {
  readonly sha256: string;
  /** Null: the depot wants the bytes as a body. */
  readonly artifact: DepotArtifact | null;
  readonly wasThere: boolean;
}

interface Digest extends BlobPieces {
  readonly sha256: string;
  readonly stamp: FileStamp;
  /** Without links. */
  readonly path: string;
}

export class Giving {
  readonly #options: GivingOptions;
  readonly #thread = new DiskThread();
  #engine: Promise<Engine> | null = null;
  #lastHash = 0;

  constructor(options: GivingOptions) {
    this.#options = options;
  }

  /** A depot with the usual rules has a torrent of it. */
  isLong(lengthBytes: number): boolean {
    return lengthBytes >= DEPOT_DEFAULTS.torrentFromBytes;
  }

  /** @throws HaulError as a PUT of the bytes; TIMEOUT with `gaveUp`; BAD_DATA: the file was changed meanwhile */
  async give(path: string, name: string, progress: GivingProgress): Promise<Given> {
    const digest = await this.#digest(path, progress);
    const { sha256 } = digest;
    const torrentBytes = blobTorrent(fileNameOf(name), digest, null, null);
    const put = (): Promise<DepotArtifact | SaidArrival | null> => this.#put(name, sha256, torrentBytes);
    const answer = await this.#options.client.trying(put);
    if (answer === null) return { sha256, artifact: null, wasThere: false };
    if (!('state' in answer)) return { sha256, artifact: answer, wasThere: true };
    const folder = await this.#folderOf(digest.path, fileNameOf(name));
    try {
      const artifact = await this.#seed(answer, put, { name, torrentBytes, digest, folder: folder.path, progress });
      return { sha256, artifact, wasThere: false };
    } finally {
      await folder.remove();
    }
  }

  async close(): Promise<void> {
    await (await this.#engine?.catch(() => null))?.close();
    await this.#thread.close();
  }

  /** Off this thread, in one pass. */
  async #digest(given: string, { hashed }: GivingProgress): Promise<Digest> {
    const { signal } = this.#options;
    try {
      const path = await realpath(given);
      const stamp = stampOf(await stat(path, { bigint: true }));
      const lengthBytes = stamp.sizeBytes;
      const pieceLengthBytes = choosePieceLength(lengthBytes);
      const wish = { lengthBytes, pieceLengthBytes };
      const found = await hashFile(this.#thread, ++this.#lastHash, path, wish, { onHashed: hashed, signal });
      if (found.pieces === null || !isUnchanged(stampOf(await stat(path, { bigint: true })), stamp))
        throw new HaulError('BAD_DATA', `${given} was changed while it was read`, { path: given });
      return { path, stamp, lengthBytes, pieceLengthBytes, pieces: found.pieces, sha256: found.sha256 };
    } catch (error) {
      throw fromSystemError(error, 'read', given);
    }
  }

  /** An artifact: it was there. Null: the bytes have to be sent. */
  async #put(name: string, sha256: string, torrent: Buffer): Promise<DepotArtifact | SaidArrival | null> {
    const { client, retentionDays, replicas, overwrite } = this.#options;
    const query = new URLSearchParams({
      p2p: '',
      ...(retentionDays === null ? {} : { 'retention-days': String(retentionDays) }),
      ...(replicas === null ? {} : { replicas: String(replicas) }),
      ...(overwrite ? { overwrite: 'true' } : {}),
    });
    try {
      const response = await client.ask('PUT', `${DepotClient.path(name)}?${query}`, {
        headers: {
          'content-type': 'application/x-bittorrent',
          'content-length': torrent.length,
          'repr-digest': reprDigest(sha256),
        },
        send: (write) => write(torrent),
      });
      const body = await readAnswer(response);
      return response.statusCode === 202 ? this.#arrivalOf(name, sha256, body) : client.artifactOf(body);
    } catch (error) {
      if (HaulError.is(error) && error.facts.problem === 'SEND_BYTES') return null;
      throw error;
    }
  }

  #arrivalOf(name: string, sha256: string, body: Uint8Array): SaidArrival {
    const said = saidArrival(jsonOf(body));
    if (said !== null && said.name === name && (said.sha256 ?? sha256) === sha256) return said;
    throw new HaulError(
      'HTTP',
      `depot ${this.#options.client.url} cannot be believed: it told of an upload that is none`,
    );
  }

  /** Where the file has the name of its torrent. A link to it does, where it is called otherwise. */
  async #folderOf(path: string, name: string): Promise<HeldFolder> {
    if (basename(path) === name) return { path: dirname(path), remove: async () => {} };
    return linkFolder(path, name);
  }

  async #seed(
    first: SaidArrival,
    put: () => Promise<DepotArtifact | SaidArrival | null>,
    what: Seeding,
  ): Promise<DepotArtifact> {
    const { output } = this.#options;
    const { name, torrentBytes, digest, folder } = what;
    this.#engine ??= openEngine(output, this.#options.engine);
    const engine = await this.#engine;
    const torrent = engine.add(parseTorrent(torrentBytes), {
      output: folder,
      mode: 'seed',
      trustData: true,
      hashed: [digest.stamp],
      trackers: [[first.announceUrl]],
    });
    watchTorrent(output, torrent);
    try {
      await torrent.done;
      const { infoHashHex: infoHash } = torrent.metainfo;
      const text = `seeding ${printable(name, 2000)} on port ${engine.port} until the depot has it; Ctrl-C stops it`;
      output.event('seeding', { name, infoHash, port: engine.port, arrival: first.id }, text);
      return await this.#untilThere(first, put, torrent, what);
    } finally {
      what.progress.given(torrent.stats().uploadedBytes);
      await engine.remove(torrent);
    }
  }

  /** Asks on until it is over. A depot that is away for a while may be one that is started anew. */
  async #untilThere(
    first: SaidArrival,
    put: () => Promise<DepotArtifact | SaidArrival | null>,
    torrent: Torrent,
    { digest, progress }: Seeding,
  ): Promise<DepotArtifact> {
    const { output, signal, timeoutMs } = this.#options;
    const limits = new TimeLimits({ timeoutMs, deadlineMs: Number.POSITIVE_INFINITY }, performance.now());
    const dial = this.#dialler(torrent);
    let [said, receivedBytes]: [SaidArrival, number] = [first, 0];
    let movedMs = performance.now();
    for (;;) {
      if (said.artifact !== null && said.state === 'done') return this.#told(said, receivedBytes, progress).artifact!;
      if (said.state === 'failed' && !isStale(said)) throw this.#errorOf(said);
      // The file was changed, or its disk is gone.
      if (torrent.error !== null) throw torrent.error;
      if (said.receivedBytes > receivedBytes || said.state === 'storing') limits.progress(performance.now());
      progress.received(said.receivedBytes - receivedBytes);
      if (said.receivedBytes !== receivedBytes || said.state !== 'receiving') movedMs = performance.now();
      receivedBytes = said.receivedBytes;
      if (performance.now() - movedMs > QUIET_MS && (await isWritten(digest))) throw changed(digest.path);
      dial(said);
      if (limits.exceeded(performance.now()) !== null) throw gaveUp(timeoutMs);
      if ((await delayOrAborted(ASK_MS, signal)) === 'aborted') throw new HaulError('ABORTED', 'interrupted');
      try {
        const next: DepotArtifact | SaidArrival | null =
          said.state === 'resting' || isStale(said) ? await put() : await this.#ask(said, put);
        if (next === null)
          throw new HaulError('HTTP', 'the depot wants the bytes as a body now: publish without --p2p');
        if (!('state' in next)) {
          progress.received(next.lengthBytes - receivedBytes);
          return next;
        }
        said = next;
      } catch (error) {
        if (!HaulError.is(error) || !isTransient(error) || signal.aborted) throw error;
        output.warn(`${error.message}; seeding goes on`, { code: error.code });
      }
    }
  }

  #told(said: SaidArrival, receivedBytes: number, progress: GivingProgress): SaidArrival {
    progress.received(said.lengthBytes - receivedBytes);
    return said;
  }

  async #ask({ id, name, sha256 }: SaidArrival, put: () => Promise<DepotArtifact | SaidArrival | null>) {
    try {
      const body = await readAnswer(await this.#options.client.ask('GET', `/arrivals/${id}`));
      return this.#arrivalOf(name, sha256 ?? '', body);
    } catch (error) {
      // It gave way to others, or its end was told already: then the PUT says what is there.
      if (HaulError.is(error) && error.code === 'NOT_FOUND') return put();
      throw error;
    }
  }

  /** Where we cannot be reached it is us who dial; the depot finds us by its tracker. */
  #dialler(torrent: Torrent): (said: SaidArrival) => void {
    const host = new URL(this.#options.client.url).hostname.replace(/^\[|\]$/g, '');
    let [dialledPort, dueMs] = [0, 0];
    return ({ state, peerPort }) => {
      const nowMs = performance.now();
      if (state !== 'receiving' || peerPort === null || torrent.stats().peers > 0 || nowMs < dueMs) return;
      // The same once more would wait for its turn among those that failed.
      if (dialledPort !== 0) torrent.removePeer(host, dialledPort);
      torrent.addPeer(host, peerPort);
      dialledPort = peerPort;
      dueMs = nowMs + DIAL_AGAIN_MS;
    };
  }

  #errorOf({ problem }: SaidArrival): HaulError {
    const { status = 0, detail = 'it has failed', code = '' } = problem ?? {};
    const ours: ErrorCode = STATUS_CODES[status] ?? 'HTTP';
    const facts = { statusCode: status, problem: code };
    return new HaulError(ours, `depot ${this.#options.client.url}: ${detail}`, facts);
  }
}

interface Seeding {
  readonly name: string;
  readonly torrentBytes: Buffer;
  readonly digest: Digest;
  readonly folder: string;
  readonly progress: GivingProgress;
}

/** The depot takes none of it then. */
async function isWritten({ path, stamp }: Digest): Promise<boolean> {
  const status = await stat(path, { bigint: true }).catch(() => null);
  return status !== null && !isUnchanged(stampOf(status), stamp);
}

function changed(path: string): HaulError {
  const text = `${path} was changed while it was published: run the same command again when nobody writes to it`;
  return new HaulError('BAD_DATA', text, { path });
}

/** Nobody gave anything for so long that it made room: it begins anew. */
function isStale({ state, problem }: SaidArrival): boolean {
  return state === 'failed' && problem?.status === 408;
}

function gaveUp(timeoutMs: number): HaulError {
  const text = `nothing came to the depot for ${timeoutMs / 1000} s; what it has it keeps: run the same command again`;
  return new HaulError('TIMEOUT', text, { gaveUp: 'timeout' });
}
