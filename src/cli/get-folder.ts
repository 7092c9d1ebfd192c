/**
 * `haul get` of a prefix by the torrent of the folder: one swarm for all of it, where the depot has such a torrent. It
 * comes into a hidden folder beside; each file is held against the listing's SHA-256, then it gets its place. What was
 * verified stays there when the command ends early, and is gone on with.
 */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine, Torrent } from '../api.js';
import { HaulError } from '../errors.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { parseTorrent } from '../metainfo/torrent.js';
import { makeFolder } from '../storage/folders.js';
import { type DepotArtifact, DepotClient, readAnswer } from './depot-client.js';
import { hashOf, placeFile, whatIsThere } from './get-files.js';

/** Nothing has come for so long: then one by one. */
const SILENCE_MS = 20_000;
const LOOK_MS = 1_000;
const PLACED_AT_ONCE = 4;

export interface Wanted {
  readonly artifact: DepotArtifact;
  readonly path: string;
}

export interface FolderMeans {
  readonly client: DepotClient;
  readonly signal: AbortSignal;
  /** Starts it with the first torrent. */
  readonly engine: () => Promise<Engine>;
  /** Shows what comes until it is done or the signal fires. */
  readonly watch: (torrent: Torrent, done: Promise<unknown>) => Promise<'settled' | 'aborted'>;
  /** Of a file that has its place. */
  readonly placed: (wanted: Wanted, wasHere: boolean) => void;
}

export interface FolderRules {
  /** Without slashes at its ends. */
  readonly below: string;
  /** Into this folder all of it goes. */
  readonly output: string;
  readonly isForced: boolean;
  /** Some of the folder only: for these nothing is to be hashed at the depot. */
  readonly isPart: boolean;
}

export interface FolderFetched {
  readonly infoHash: string;
  readonly lengthBytes: number;
  readonly peerBytes: number;
  readonly webSeedBytes: number;
  readonly localBytes: number;
}

/**
 * Null: the depot has no torrent that holds these files, or nothing comes of it.
 * @throws HaulError FILE_EXISTS, MISMATCH, ABORTED, and those of the network and the disk
 */
export async function getFolder(
  means: FolderMeans,
  wanted: readonly Wanted[],
  rules: FolderRules,
): Promise<FolderFetched | null> {
  const bytes = await askTorrent(means.client, rules);
  if (bytes === null) return null;
  const metainfo = parseTorrent(bytes);
  const files = filesOf(metainfo, wanted, rules.below);
  if (files === null) return null;
  const left = await missingOf(wanted, means, rules);
  const isLeft = new Set(left);
  const lengthBytes = bytesOf(wanted);
  const { infoHashHex: infoHash } = metainfo;
  const come =
    left.length === 0 ? { peerBytes: 0, webSeedBytes: 0 } : await fetchInto(means, metainfo, left, files, rules);
  if (come === null) return null;
  for (const each of wanted) if (!isLeft.has(each)) means.placed(each, true);
  const { peerBytes, webSeedBytes } = come;
  return {
    infoHash,
    lengthBytes,
    peerBytes,
    webSeedBytes,
    localBytes: Math.max(0, lengthBytes - peerBytes - webSeedBytes),
  };
}

/** Null: there is none, now. */
function askTorrent(client: DepotClient, { below, isPart }: FolderRules): Promise<Buffer | null> {
  const path = `${DepotClient.path(below)}/?torrent${isPart ? '&made' : ''}`;
  return client.trying(async () => {
    try {
      return await readAnswer(await client.ask('GET', path));
    } catch (error) {
      // Whatever it says, there is another way. An older depot knows no such question.
      if (HaulError.is(error) && error.facts.statusCode !== undefined) return null;
      throw error;
    }
  });
}

/** Indexes in the torrent. Null: it is of another moment than the listing. */
function filesOf(metainfo: Metainfo, wanted: readonly Wanted[], below: string): Map<Wanted, number> | null {
  const byPath = new Map<string, number>();
  metainfo.files.forEach(({ path, pathInTorrent, isPad, symlinkPath }, index) => {
    if (!isPad && symlinkPath === null) byPath.set((pathInTorrent ?? path.slice(1)).join('/'), index);
  });
  const found = new Map<Wanted, number>();
  for (const each of wanted) {
    const { name, lengthBytes } = each.artifact;
    const index = byPath.get(name.slice(below.length + 1));
    if (index === undefined || metainfo.files[index]!.lengthBytes !== lengthBytes) return null;
    found.set(each, index);
  }
  return found;
}

/** Those that are not in their place yet. @throws HaulError FILE_EXISTS */
async function missingOf(wanted: readonly Wanted[], means: FolderMeans, rules: FolderRules): Promise<Wanted[]> {
  const missing: Wanted[] = [];
  for (const each of wanted) {
    if (means.signal.aborted) throw new HaulError('ABORTED', 'interrupted');
    if ((await whatIsThere(each.path, each.artifact, rules.isForced)) === 'nothing') missing.push(each);
  }
  return missing;
}

interface Come {
  readonly peerBytes: number;
  readonly webSeedBytes: number;
}

async function fetchInto(
  means: FolderMeans,
  metainfo: Metainfo,
  left: readonly Wanted[],
  files: ReadonlyMap<Wanted, number>,
  { output, isForced }: FolderRules,
): Promise<Come | null> {
  const hidden = join(output, `.${metainfo.infoHashHex}.haul-folder`);
  await makeFolder(hidden);
  const isWanted = new Set(left.map((each) => files.get(each)!));
  const priorities = metainfo.files.map((_, index) => (isWanted.has(index) ? ('normal' as const) : ('skip' as const)));
  const isAll = metainfo.files.every(({ isPad }, index) => isPad || isWanted.has(index));
  const engine = await means.engine();
  const torrent = engine.add(metainfo, { output: hidden, ...(isAll ? {} : { priorities }) });
  const watching = new AbortController();
  const end = await means
    .watch(torrent, Promise.race([torrent.done, silence(torrent, watching.signal)]))
    .finally(() => watching.abort());
  const { downloadedBytes, webSeedBytes, wantedBytes, verifiedBytes } = torrent.stats();
  await torrent.stop();
  if (end === 'aborted') throw new HaulError('ABORTED', 'interrupted');
  if (verifiedBytes < wantedBytes) return null;
  await placeAll(means, metainfo, left, files, hidden, isForced);
  await rm(hidden, { recursive: true, force: true });
  const fetchedBytes = Math.min(downloadedBytes, bytesOf(left));
  const fromWeb = Math.min(webSeedBytes, fetchedBytes);
  return { peerBytes: fetchedBytes - fromWeb, webSeedBytes: fromWeb };
}

/** Resolves when nothing has come of it for so long from the start on. */
async function silence(torrent: Torrent, signal: AbortSignal): Promise<void> {
  let quietMs = 0;
  while (quietMs < SILENCE_MS) {
    await sleep(LOOK_MS, undefined, { ref: false });
    if (signal.aborted) return;
    const { state, downloadedBytes } = torrent.stats();
    if (downloadedBytes > 0) return new Promise(() => {});
    if (state === 'downloading') quietMs += LOOK_MS;
  }
}

async function placeAll(
  means: FolderMeans,
  metainfo: Metainfo,
  left: readonly Wanted[],
  files: ReadonlyMap<Wanted, number>,
  hidden: string,
  isForced: boolean,
): Promise<void> {
  for (const folder of new Set(left.map(({ path }) => dirname(path)))) await makeFolder(folder);
  const queue = [...left].reverse();
  const worker = async (): Promise<void> => {
    for (let each = queue.pop(); each !== undefined; each = queue.pop()) {
      if (means.signal.aborted) throw new HaulError('ABORTED', 'interrupted');
      const { artifact, path } = each;
      const from = join(hidden, ...metainfo.files[files.get(each)!]!.path);
      const found = await hashOf(from);
      if (found !== artifact.sha256) {
        await rm(from, { force: true });
        const text = `${artifact.name}: what came has the SHA-256 ${found}, not ${artifact.sha256}`;
        throw new HaulError('MISMATCH', text, { path });
      }
      await placeFile(from, path, artifact, isForced);
      means.placed(each, false);
    }
  };
  await Promise.all(Array.from({ length: PLACED_AT_ONCE }, worker));
}

function bytesOf(wanted: readonly Wanted[]): number {
  return wanted.reduce((sum, { artifact }) => sum + artifact.lengthBytes, 0);
}
