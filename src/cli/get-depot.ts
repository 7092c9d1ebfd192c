/**
 * `haul get NAME` from a depot: through the torrent, with the depot as tracker, seed and web seed, where there is one;
 * else by HTTP, continued where it broke off. Each artifact gets a receipt: where its bytes came from.
 */
import { unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Engine, Torrent } from '../api.js';
import { HaulError } from '../errors.js';
import { parseTorrent } from '../metainfo/torrent.js';
import { Limits } from '../peer/limits.js';
import type { RateGate } from '../rates-api.js';
import { makeFolder } from '../storage/folders.js';
import type { WorkPool } from '../work/port.js';
import { type DepotArtifact, DepotClient, fromNetwork } from './depot-client.js';
import type { DepotPlace } from './depot-place.js';
import { openEngine, watchTorrent } from './engine-door.js';
import { checkOutputFolder } from './folders.js';
import { count, formatBytes, formatSeconds, printable } from './format.js';
import { cloneCached, receiptOf } from './get-agent.js';
import { append, hashOf, makeWay, openPart, type Part, placeFile, sweepParts, whatIsThere } from './get-files.js';
import { getFolder, type Wanted } from './get-folder.js';
import { unlessGone } from './get-gone.js';
import type { EngineCliOptions } from './options.js';
import type { Patience } from './patience.js';
import { pour, pourFile } from './pour.js';
import type { Context, Outcome } from './run.js';
import { fileSampler, torrentSampler } from './sample.js';
import { resourceFields } from './usage.js';
import { eitherSignal, settledOrAborted } from './wait.js';
import { makeProgressLook, sayWaiting } from './waiting.js';

export interface DepotGetOptions extends EngineCliOptions {
  readonly output: string;
  readonly pattern?: string;
  readonly mergeMultiple?: boolean;
  readonly force?: boolean;
  readonly sha256?: string;
  /** The one that goes to standard output, by its name or the end of it. */
  readonly stdout?: string;
}

interface Receipt {
  readonly peerBytes: number;
  readonly webSeedBytes: number;
  readonly httpBytes: number;
  /** Of the cache of the agent. */
  readonly agentBytes: number;
  /** Was here already. */
  readonly localBytes: number;
}

const NOTHING: Receipt = { peerBytes: 0, webSeedBytes: 0, httpBytes: 0, agentBytes: 0, localBytes: 0 };

export interface DepotGetMeans {
  readonly place: DepotPlace;
  readonly patience: Patience;
  readonly pool: WorkPool;
}

export async function getFromDepot(
  context: Context,
  { place, patience, pool }: DepotGetMeans,
  name: string,
  options: DepotGetOptions,
): Promise<Outcome> {
  const { output, signal } = context;
  const folder = await checkOutputFolder(options.output);
  const either = eitherSignal(signal, patience.signal);
  const client = await DepotClient.open(place, either, (error) => {
    output.warn(`${error.message}; trying again`, { code: error.code });
  });
  const fetching = new Fetching(context, { client, patience, pool, signal: either }, options);
  const started = performance.now();
  try {
    const wanted = onlyPoured(await wantedOf(client, name, folder, options), options.stdout);
    if (!(await fetching.folder(name, folder, wanted))) for (const each of wanted) await fetching.one(each);
    const seconds = (performance.now() - started) / 1000;
    const fields = { outcome: 'done', artifacts: wanted.length, seconds, ...fetching.total, ...resourceFields() };
    output.event(
      'receipt',
      fields,
      wanted.length === 1
        ? ''
        : `${count(wanted.length, 'artifact')}: ${receiptText(fetching.total)} in ${formatSeconds(seconds)}`,
    );
    return 'done';
  } catch (error) {
    if (patience.gaveUp === null || signal.aborted) throw error;
    output.error(new HaulError('TIMEOUT', `given up (--${patience.gaveUp})`, {}, error));
    return patience.gaveUp;
  } finally {
    output.stopProgress();
    await fetching.close();
    client.close();
  }
}

/** The one that has the name, else all below it. @throws HaulError NOT_FOUND */
async function wantedOf(
  client: DepotClient,
  name: string,
  folder: string,
  options: DepotGetOptions,
): Promise<Wanted[]> {
  const { pattern, mergeMultiple } = options;
  const below = bare(name);
  const one = pattern === undefined && !name.endsWith('/') ? await client.find(below) : null;
  if (one !== null) return [{ artifact: one, path: join(folder, basename(one.name)) }];
  const wanted: Wanted[] = [];
  const start = below === '' ? '' : `${below}/`;
  for await (const artifact of client.list(below, pattern === undefined ? {} : { pattern })) {
    const parts = artifact.name.slice(start.length).split('/');
    // As download-artifact merges: what several artifacts hold goes into one folder.
    const kept = mergeMultiple === true && parts.length > 1 ? parts.slice(1) : parts;
    wanted.push({ artifact, path: join(folder, ...kept) });
  }
  const seen = new Map<string, string>();
  for (const { artifact, path } of wanted) {
    const other = seen.get(path);
    if (other !== undefined)
      throw new HaulError('BAD_ARGUMENT', `${other} and ${artifact.name} would be one file: ${path}`, { path });
    seen.set(path, artifact.name);
  }
  if (wanted.length > 0) return wanted;
  throw new HaulError(
    'NOT_FOUND',
    `${client.who}: there is nothing called ${name}${pattern === undefined ? '' : ` that matches ${pattern}`}`,
  );
}

function bare(name: string): string {
  return name.replace(/^\/+|\/+$/g, '');
}

/** @throws HaulError BAD_ARGUMENT: none is called so, or more than one */
function onlyPoured(wanted: readonly Wanted[], stdout: string | undefined): readonly Wanted[] {
  if (stdout === undefined) return wanted;
  if (stdout === '-' && wanted.length === 1) return wanted;
  const called = wanted.filter(({ artifact: { name } }) => name === stdout || name.endsWith(`/${stdout}`));
  if (called.length === 1) return called;
  const names = wanted.slice(0, 5).map(({ artifact }) => printable(artifact.name, 200));
  const why = called.length === 0 ? `none is called ${stdout}` : `${called.length} end with ${stdout}`;
  throw new HaulError('BAD_ARGUMENT', `--stdout: ${why}; there is ${names.join(', ')}`, { option: '--stdout' });
}

interface Means {
  readonly client: DepotClient;
  readonly patience: Patience;
  readonly pool: WorkPool;
  readonly signal: AbortSignal;
}

/** Of shorter ones the end is all that is told: there may be thousands. */
const PROGRESS_BYTES = 1024 * 1024;

class Fetching {
  total: Receipt = NOTHING;
  readonly #context: Context;
  readonly #means: Means;
  readonly #options: DepotGetOptions;
  #engine: Promise<Engine> | null = null;
  /** Of what comes without an engine. */
  readonly #limits: Limits;
  readonly #gate: RateGate;

  constructor(context: Context, means: Means, options: DepotGetOptions) {
    this.#context = context;
    this.#means = means;
    this.#options = options;
    const { downloadLimit } = options;
    const rates = downloadLimit === undefined ? {} : { downloadBytesPerSec: downloadLimit };
    this.#limits = new Limits(rates, () => performance.now());
    this.#gate = this.#limits.gates().downloads;
    const { signal } = means;
    // Who waits for the limit goes on, and finds that it is over.
    signal.addEventListener('abort', () => this.#limits.closeGates(), { once: true });
  }

  async close(): Promise<void> {
    this.#limits.closeGates();
    await (await this.#engine)?.close();
  }

  async one({ artifact, path }: Wanted): Promise<void> {
    const { sha256 } = this.#options;
    if (sha256 !== undefined && sha256 !== artifact.sha256)
      throw new HaulError('MISMATCH', `${artifact.name} has the SHA-256 ${artifact.sha256}, not that of --sha256`);
    const started = performance.now();
    await makeFolder(dirname(path));
    // A torrent's file is called as the artifact; merged ones may be called otherwise.
    const isTorrent = artifact.infoHash !== null && basename(path) === basename(artifact.name);
    const receipt = isTorrent ? await this.#byTorrent(artifact, path) : await this.#byHttp(artifact, path);
    if (!isTorrent && this.#options.stdout !== undefined) await pourFile(path, this.#means.signal);
    this.#say(artifact, path, receipt, (performance.now() - started) / 1000);
  }

  /** All of it by one torrent. @returns false: one by one, then; what is in its place is found there */
  async folder(name: string, output: string, wanted: readonly Wanted[]): Promise<boolean> {
    const { client, signal } = this.#means;
    const { sha256, stdout, force, pattern } = this.#options;
    const below = bare(name);
    if (wanted.length < 2 || below === '' || client.isAgent || sha256 !== undefined || stdout !== undefined)
      return false;
    const started = performance.now();
    const engine = (): Promise<Engine> => {
      this.#engine ??= openEngine(this.#context.output, this.#options, this.#means.pool);
      return this.#engine;
    };
    const watch = (torrent: Torrent, done: Promise<unknown>) => this.#watch(torrent, done);
    const placed = ({ artifact, path }: Wanted, wasHere: boolean): void => {
      const { name: full, sha256: digest, lengthBytes } = artifact;
      this.#context.output.event('fetched', { name: full, path, sha256: digest, lengthBytes, wasHere }, '');
    };
    const rules = { below, output, isForced: force === true, isPart: pattern !== undefined };
    const fetched = await getFolder({ client, signal, engine, watch, placed }, wanted, rules);
    if (fetched === null) return false;
    const { infoHash, lengthBytes, ...bytes } = fetched;
    const receipt = { ...NOTHING, ...bytes };
    this.total = sumOf(this.total, receipt);
    this.#context.output.stopProgress();
    const seconds = (performance.now() - started) / 1000;
    const fields = { name: below, path: output, infoHash, files: wanted.length, lengthBytes, seconds, ...receipt };
    const what = `${count(wanted.length, 'file')}, ${formatBytes(lengthBytes)} in ${formatSeconds(seconds)}`;
    const text = `${printable(output, 4000)}: ${what}; ${receiptText(receipt)}\n  torrent ${infoHash}`;
    this.#context.output.event('folder', fields, text);
    return true;
  }

  #say(artifact: DepotArtifact, path: string, receipt: Receipt, seconds: number): void {
    const { name, sha256, lengthBytes } = artifact;
    const { total } = this;
    this.total = sumOf(total, receipt);
    this.#context.output.stopProgress();
    this.#context.output.event(
      'fetched',
      { name, path, sha256, lengthBytes, seconds, ...receipt },
      `${printable(path, 4000)}: ${formatBytes(lengthBytes)} in ${formatSeconds(seconds)}; ` +
        `${receiptText(receipt)}\n  sha256 ${sha256}`,
    );
  }

  async #byTorrent(artifact: DepotArtifact, path: string): Promise<Receipt> {
    const { output } = this.#context;
    const { client, signal, pool } = this.#means;
    await makeWay(path, artifact, this.#options.force === true);
    const bytes = await client.bytes('GET', `${DepotClient.path(artifact.name)}?torrent`);
    const metainfo = parseTorrent(bytes);
    this.#engine ??= openEngine(output, this.#options, pool);
    const engine = await this.#engine;
    const torrent = engine.add(metainfo, {
      output: dirname(path),
      sha256: artifact.sha256,
      overwrite: this.#options.force === true,
      infoHash: artifact.infoHash!,
    });
    const pouring = this.#options.stdout === undefined ? null : pour(torrent, 0, process.stdout, signal);
    const whole = unlessGone(client, artifact, torrent, Promise.all([torrent.done, pouring]));
    const end = await this.#watch(torrent, whole);
    const { downloadedBytes, webSeedBytes, lengthBytes } = torrent.stats();
    await torrent.stop();
    if (end === 'aborted') throw new HaulError('ABORTED', 'interrupted');
    const fetchedBytes = Math.min(downloadedBytes, lengthBytes);
    const fromWeb = Math.min(webSeedBytes, fetchedBytes);
    return {
      peerBytes: fetchedBytes - fromWeb,
      webSeedBytes: fromWeb,
      httpBytes: 0,
      agentBytes: 0,
      localBytes: lengthBytes - fetchedBytes,
    };
  }

  async #watch(torrent: Torrent, done: Promise<unknown>): Promise<'settled' | 'aborted'> {
    const { output } = this.#context;
    const { patience, signal } = this.#means;
    watchTorrent(output, torrent);
    output.progress(torrentSampler(torrent, 'complete'));
    patience.watch(makeProgressLook(torrent, patience.countsBytes));
    const waiting = sayWaiting(output, torrent);
    const end = await settledOrAborted(
      done.then(() => {}),
      signal,
    ).finally(waiting.end);
    patience.watch(() => true);
    return end;
  }

  async #byHttp(artifact: DepotArtifact, path: string): Promise<Receipt> {
    const { lengthBytes, sha256 } = artifact;
    if ((await whatIsThere(path, artifact, this.#options.force === true)) === 'it')
      return { ...NOTHING, localBytes: lengthBytes };
    const part = await openPart(path, sha256);
    let came: Receipt;
    try {
      came = await this.#into(part, artifact, path);
      await placeFile(part.path, path, artifact, this.#options.force === true);
    } finally {
      await part.file.close();
    }
    await sweepParts(path, sha256);
    return came;
  }

  /** All of it, verified. */
  async #into(part: Part, artifact: DepotArtifact, path: string): Promise<Receipt> {
    const { lengthBytes, sha256, name } = artifact;
    const { client } = this.#means;
    let came = NOTHING;
    if (client.isAgent && (await cloneCached(client, artifact, part))) {
      if ((await hashOf(part.path)) === sha256) return { ...NOTHING, agentBytes: lengthBytes };
      await part.file.truncate(0);
    }
    const here = this.#tell(artifact);
    await client.trying(async () => {
      came = sumOf(came, await this.#continue(artifact, part, here));
    });
    const found = await hashOf(part.path);
    if (found !== sha256) {
      await unlink(part.path);
      throw new HaulError('MISMATCH', `${name}: what came has the SHA-256 ${found}, not ${sha256}`, { path });
    }
    const { peerBytes, webSeedBytes, httpBytes, agentBytes } = came;
    return { ...came, localBytes: Math.max(0, lengthBytes - peerBytes - webSeedBytes - httpBytes - agentBytes) };
  }

  /** Progress from the first word on; told of bytes that are there. */
  #tell({ name, lengthBytes }: DepotArtifact): (hereBytes: number) => void {
    let here: number | null = null;
    return (bytes) => {
      const isFirst = here === null;
      here = bytes;
      if (!isFirst || lengthBytes < PROGRESS_BYTES) return;
      this.#context.output.progress(fileSampler(name, lengthBytes, () => here ?? 0));
    };
  }

  /** From where an earlier try ended. @param here told of bytes that are there. @returns what came */
  async #continue(
    { name, sha256, lengthBytes }: DepotArtifact,
    part: Part,
    here: (bytes: number) => void,
  ): Promise<Receipt> {
    const { file } = part;
    let received = 0;
    try {
      let { size } = await file.stat();
      if (size > lengthBytes) {
        await file.truncate(0);
        size = 0;
      }
      if (size === lengthBytes) return NOTHING;
      const etag = `"${sha256}"`;
      const headers: Record<string, string> =
        size === 0 ? { 'if-match': etag } : { range: `bytes=${size}-`, 'if-match': etag };
      const response = await this.#means.client.ask('GET', DepotClient.path(name), { headers });
      if (size > 0 && response.statusCode !== 206) {
        await file.truncate(0);
        size = 0;
      }
      here(size);
      this.#means.patience.watch(() => true);
      for await (const chunk of response) {
        await append(part, chunk as Buffer);
        received += (chunk as Buffer).length;
        here(size + received);
        await this.#gate.pass((chunk as Buffer).length);
      }
      const told = await receiptOf(this.#means.client, response.headers['x-swarmhaul-receipt'], received);
      if (told === null) return { ...NOTHING, httpBytes: received };
      const { peerBytes, webSeedBytes, localBytes: agentBytes } = told;
      return { ...NOTHING, peerBytes, webSeedBytes, agentBytes };
    } catch (error) {
      if (this.#means.signal.aborted) throw new HaulError('ABORTED', 'interrupted', {}, error);
      throw fromNetwork(error);
    }
  }
}

function sumOf(a: Receipt, b: Receipt): Receipt {
  return {
    peerBytes: a.peerBytes + b.peerBytes,
    webSeedBytes: a.webSeedBytes + b.webSeedBytes,
    httpBytes: a.httpBytes + b.httpBytes,
    agentBytes: a.agentBytes + b.agentBytes,
    localBytes: a.localBytes + b.localBytes,
  };
}

function receiptText({ peerBytes, webSeedBytes, httpBytes, agentBytes, localBytes }: Receipt): string {
  const parts = [
    [peerBytes, 'from peers'],
    [webSeedBytes, 'from the web seed'],
    [httpBytes, 'by HTTP'],
    [agentBytes, 'of the cache of the agent'],
    [localBytes, 'was here'],
  ] as const;
  const told = parts.filter(([bytes]) => bytes > 0).map(([bytes, how]) => `${formatBytes(bytes)} ${how}`);
  return told.length === 0 ? 'nothing to fetch' : told.join(', ');
}
