/** `haul get`: downloads what a torrent describes, continues what an earlier run left, may seed afterwards. */
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { AddOptions, Engine } from '../api.js';
import { isMagnet, type Magnet, parseMagnet } from '../magnet/link.js';
import { checkInfoHash } from '../metainfo/info-hash.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { WorkPool } from '../work/port.js';
import { agentOption, depotOption, tokenOption } from './depot-options.js';
import type { DepotPlace } from './depot-place.js';
import { formatBytes } from './format.js';
import { getHelp } from './get-help.js';
import { type Fetched, reportDone, reportGaveUp, reportStopped } from './get-report.js';
import {
  addEngineOptions,
  argument,
  type CommonOptions,
  type EngineCliOptions,
  hostOption,
  repeated,
} from './options.js';
import type { Output } from './output.js';
import { Patience, UNATTENDED_TIMEOUT_MS } from './patience.js';
import { chooseAlone, findFile, pour } from './pour.js';
import type { Context, Outcome, Runner } from './run.js';
import { torrentSampler } from './sample.js';
import type { FileChoice, SelectOptions } from './select.js';
import { tune } from './tune.js';
import { resourceFields } from './usage.js';
import {
  type HostPort,
  isHttpUrl,
  parseDuration,
  parseGlob,
  parseHostPort,
  parsePinnedInfoHash,
  parsePinnedSha256,
  parseTimeLimit,
  parseWebSeedUrl,
} from './values.js';
import { delayOrAborted, eitherSignal, settledOrAborted } from './wait.js';
import { makeProgressLook, sayWaiting } from './waiting.js';

interface GetOptions extends CommonOptions, EngineCliOptions, SelectOptions {
  readonly output: string;
  readonly peer?: readonly HostPort[];
  readonly webSeed?: readonly string[];
  /** Milliseconds. */
  readonly seedFor?: number;
  readonly timeout?: number;
  readonly deadline?: number;
  readonly sequential?: boolean;
  /** Overwrite files that are not the torrent's. */
  readonly force?: boolean;
  /** Hexadecimal. */
  readonly infoHash?: string;
  readonly sha256?: string;
  readonly depot?: readonly string[];
  readonly agent?: string;
  readonly token?: string;
  readonly pattern?: string;
  readonly mergeMultiple?: boolean;
}

export function getCommand(run: Runner): Command {
  const command = new Command('get')
    .description('Download what a torrent describes; run it again to continue')
    .argument('<torrent>', 'a .torrent file, an http(s) URL of one, a magnet link, or a name in a depot')
    .option('-o, --output <dir>', 'folder that receives the file, or the torrent’s folder', '.')
    .addOption(listOption('--peer <host:port>', 'a peer to connect to; may be repeated', parseHostPort))
    .addOption(listOption('--web-seed <url>', 'an http(s) URL of the same data; may be repeated', parseWebSeedUrl))
    .addOption(
      valueOption('--seed-for <duration>', 'keep seeding after completion: 30s, 10m, 2h, 1d, forever', parseDuration),
    )
    .addOption(
      valueOption(
        '--timeout <duration>',
        'give up when nothing was verified for so long ' +
          '(default: never on a terminal, else when nothing useful came for 10m)',
        parseTimeLimit,
      ),
    )
    .addOption(
      valueOption(
        '--deadline <duration>',
        'give up when the download is not complete after so long in all',
        parseTimeLimit,
      ),
    )
    .addOption(globOption('--only <glob>', 'download only these files; may be repeated'))
    .addOption(globOption('--skip <glob>', 'leave these files out, also of what --only names; may be repeated'))
    .addOption(globOption('--high <glob>', 'download these files before the others; may be repeated'))
    .addOption(globOption('--low <glob>', 'download these files after the others; may be repeated'))
    .option('--sequential', 'download in order instead of rarest first, to read along')
    .addOption(valueOption('--info-hash <hex>', 'the info-hash that the torrent must have', parsePinnedInfoHash))
    .addOption(valueOption('--sha256 <hex>', 'the SHA-256 that the file must have', parsePinnedSha256))
    .option('--stdout <file>', 'write this file to standard output while it arrives; words go to standard error')
    .option('--force', 'overwrite files that are there and are not this torrent’s')
    .addOption(depotOption())
    .addOption(agentOption())
    .addOption(tokenOption())
    .option('--pattern <glob>', 'of a depot: only names below NAME that match, e.g. "*/image.raw"')
    .option('--merge-multiple', 'of a depot: leave out the first folder of each name below NAME');
  return addEngineOptions(command.addOption(hostOption()), true)
    .addHelpText('after', getHelp())
    .action((torrent: string, options: GetOptions) => run('get', options, (context) => get(context, torrent, options)));
}

function listOption<T>(flags: string, description: string, parse: (text: string) => T): Option {
  return new Option(flags, description).argParser(repeated(parse));
}

function valueOption<T>(flags: string, description: string, parse: (text: string) => T): Option {
  return new Option(flags, description).argParser(argument(parse));
}

function globOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(repeated(parseGlob));
}

async function get(context: Context, source: string, options: GetOptions): Promise<Outcome> {
  const timeoutMs = options.timeout ?? (context.output.isTerminal ? Number.POSITIVE_INFINITY : UNATTENDED_TIMEOUT_MS);
  const countsBytes = options.timeout === undefined;
  const patience = new Patience({ timeoutMs, deadlineMs: options.deadline ?? Number.POSITIVE_INFINITY, countsBytes });
  const { startPool } = await import('./engine-door.js');
  const pool = await startPool(context.output, options);
  try {
    return await getWithin(context, { patience, pool }, source, options);
  } finally {
    patience.end();
    await pool.close();
  }
}

async function getWithin(
  context: Context,
  means: Pick<Goal, 'patience' | 'pool'>,
  source: string,
  options: GetOptions,
): Promise<Outcome> {
  const { output, signal } = context;
  const { patience } = means;
  if (isMagnet(source)) return getMagnet(context, means, source, options);
  const place = await depotOf(output, source, options);
  if (place !== null) {
    const { getFromDepot } = await import('./get-depot.js');
    return getFromDepot(context, { ...means, place }, source, options);
  }
  const [{ awaitTorrent }, { checkOutputFolder }, { makeFolder }, { chooseFiles }] = await Promise.all([
    import('./await-torrent.js'),
    import('./folders.js'),
    import('../storage/folders.js'),
    import('./select.js'),
  ]);
  const folder = await checkOutputFolder(options.output);
  // Who says how long to wait means the .torrent as well.
  const retryForMs = options.timeout === undefined ? {} : { retryForMs: Number.POSITIVE_INFINITY };
  const metainfo = await awaitTorrent(output, source, signal, { patience, host: options.host, ...retryForMs });
  if (typeof metainfo === 'string') return metainfo;
  if (options.infoHash !== undefined) checkInfoHash(metainfo, options.infoHash);
  // From here to the first sample it is our own work that takes time.
  patience.watch(() => true);
  const poured = options.stdout === undefined ? null : findFile(metainfo, options.stdout);
  const chosen = chooseFiles(metainfo, options);
  const choice = poured === null ? chosen : chooseAlone(metainfo, poured, options, chosen);
  await makeFolder(folder);
  if (signal.aborted) return 'interrupted';
  warnLonely(output, metainfo, options);
  return getInto(context, { ...means, folder, metainfo, choice, poured }, options);
}

/** The depot that is asked for what is no URL; a file of that name comes first, unless --depot or --agent is given. */
async function depotOf(output: Output, source: string, options: GetOptions): Promise<DepotPlace | null> {
  if (isHttpUrl(source)) return null;
  if (options.depot === undefined && options.agent === undefined && existsSync(source)) return null;
  const { findPlace } = await import('./agent-place.js');
  return findPlace(options, output);
}

interface Goal {
  readonly folder: string;
  readonly metainfo: Metainfo;
  readonly choice: FileChoice;
  readonly patience: Patience;
  readonly pool: WorkPool;
  /** The file that goes to standard output. */
  readonly poured: number | null;
}

async function getInto(context: Context, goal: Goal, options: GetOptions): Promise<Outcome> {
  const { folder, metainfo, choice, patience, pool, poured } = goal;
  return withEngine(context, pool, options, async (engine) => {
    const torrent = engine.add(metainfo, {
      ...addOptions(folder, options),
      ...(choice.priorities === undefined ? {} : { priorities: choice.priorities }),
    });
    return download(context, { engine, torrent, choice, patience, poured }, options.seedFor ?? 0);
  });
}

/** What the torrent is comes from its peers, so the engine is there before it is known. */
async function getMagnet(
  context: Context,
  { patience, pool }: Pick<Goal, 'patience' | 'pool'>,
  source: string,
  options: GetOptions,
): Promise<Outcome> {
  const { output } = context;
  const link = parseMagnet(source);
  const [{ checkOutputFolder }, { makeFolder }, { chooseFiles }, { awaitMagnet }] = await Promise.all([
    import('./folders.js'),
    import('../storage/folders.js'),
    import('./select.js'),
    import('./get-magnet.js'),
  ]);
  const folder = await checkOutputFolder(options.output);
  await makeFolder(folder);
  warnLonelyMagnet(output, link, options);
  return withEngine(context, pool, options, async (engine) => {
    let choice: FileChoice | null = null;
    let poured: number | null = null;
    const magnet = engine.add(source, {
      ...addOptions(folder, options),
      choose: (metainfo) => {
        if (options.infoHash !== undefined) checkInfoHash(metainfo, options.infoHash);
        for (const warning of metainfo.warnings) output.warn(warning);
        poured = options.stdout === undefined ? null : findFile(metainfo, options.stdout);
        const chosen = chooseFiles(metainfo, options, link.selectOnly);
        choice = poured === null ? chosen : chooseAlone(metainfo, poured, options, chosen);
        return choice.priorities === undefined ? {} : { priorities: choice.priorities };
      },
    });
    const torrent = await awaitMagnet(context, magnet, patience);
    if (typeof torrent === 'string') return torrent;
    return download(context, { engine, torrent, choice: choice!, patience, poured }, options.seedFor ?? 0);
  });
}

async function withEngine(
  { output, signal }: Context,
  pool: WorkPool,
  options: GetOptions,
  body: (engine: Engine) => Promise<Outcome>,
): Promise<Outcome> {
  const { openEngine } = await import('./engine-door.js');
  const engine = await openEngine(output, options, pool);
  try {
    return signal.aborted ? 'interrupted' : await body(engine);
  } finally {
    output.stopProgress();
    await engine.close();
  }
}

function addOptions(output: string, options: GetOptions): AddOptions {
  return {
    output,
    peers: options.peer ?? [],
    webSeeds: options.webSeed ?? [],
    sequential: options.sequential === true,
    overwrite: options.force === true,
    ...(options.sha256 === undefined ? {} : { sha256: options.sha256 }),
  };
}

interface Running extends Fetched {
  readonly engine: Engine;
  readonly patience: Patience;
  readonly poured: number | null;
}

async function download(context: Context, running: Running, seedForMs: number): Promise<Outcome> {
  const { output, signal } = context;
  const { engine, torrent, patience, poured } = running;
  const started = performance.now();
  const { watchTorrent } = await import('./engine-door.js');
  watchTorrent(output, torrent);
  const view = output.progress(torrentSampler(torrent, 'complete'));
  torrent.once('verified', () => void tune());
  patience.watch(makeProgressLook(torrent, patience.countsBytes));
  const waiting = sayWaiting(output, torrent);
  const either = eitherSignal(signal, patience.signal);
  const pouring = poured === null ? null : pour(torrent, poured, process.stdout, either);
  const all = Promise.all([torrent.done, pouring]).then(() => {});
  // Who reads what is poured has all the time it wants.
  torrent.done.then(
    () => patience.end(),
    () => {},
  );
  const end = await settledOrAborted(all, either).finally(waiting.end);
  patience.end();
  const seconds = (performance.now() - started) / 1000;
  if (end === 'aborted') {
    const before = { stats: torrent.stats(), sources: torrent.sources() };
    await torrent.stop();
    view.stop();
    // Nobody reads on: that is what `head` does, and no reason for a word.
    if (poured !== null && process.stdout.errored !== null) return 'interrupted';
    if (signal.aborted || patience.gaveUp === null) {
      reportStopped(output, running, seconds, before.stats.state === 'downloading');
      return 'interrupted';
    }
    reportGaveUp(output, running, seconds, before, patience);
    return patience.gaveUp;
  }
  view.stop();
  reportDone(output, running, seconds);
  if (seedForMs > 0) {
    const seeding = output.progress(torrentSampler(torrent, 'serve'));
    // A torrent that fails while it seeds (its file is gone, say) ends the command.
    const failure = new Promise<never>((_, reject) => torrent.once('failed', reject));
    await Promise.race([delayOrAborted(seedForMs, signal), failure]);
    seeding.stop();
  }
  await engine.close();
  const { uploadedBytes } = torrent.stats();
  const text = seedForMs > 0 ? `seeded ${formatBytes(uploadedBytes)}` : '';
  output.event('stopped', { uploadedBytes, ...resourceFields() }, text);
  return 'done';
}

/** A download that cannot find anyone would otherwise wait in silence. */
function warnLonely(output: Output, metainfo: Metainfo, options: GetOptions): void {
  for (const warning of metainfo.warnings) output.warn(warning);
  const urls = metainfo.trackers.flat();
  const hasWebSeed = metainfo.webSeeds.length + (options.webSeed ?? []).length > 0;
  const hasOthers = looksElsewhere(options) && !metainfo.isPrivate;
  if (hasOthers || hasWebSeed || (options.peer ?? []).length > 0 || urls.some((url) => /^(?:https?|udp):/i.test(url)))
    return;
  const [code, reason] =
    urls.length === 0
      ? ['no-trackers', 'the torrent names no tracker']
      : ['unusable-trackers', 'the torrent names only trackers that cannot be contacted'];
  output.warn(`${reason} and no --peer is given: waiting for peers that connect to us`, { code });
}

/** Than at trackers, for what is not private. */
function looksElsewhere({ dht, dhtNode, lsd }: GetOptions): boolean {
  return dht === true || dhtNode !== undefined || lsd === true;
}

function warnLonelyMagnet(output: Output, { trackers, peers, warnings }: Magnet, options: GetOptions): void {
  for (const warning of warnings) output.warn(`magnet link: ${warning}`);
  if (trackers.length + peers.length + (options.peer ?? []).length > 0 || looksElsewhere(options)) return;
  const message = 'the magnet link names no tracker and no peer, and no --peer is given';
  output.warn(`${message}: waiting for peers that connect to us`, { code: 'no-trackers' });
}
