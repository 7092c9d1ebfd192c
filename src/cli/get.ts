/** `haul get`: downloads what a torrent describes, continues what an earlier run left, may seed afterwards. */
import { Command, Option } from 'commander';
import type { Engine } from '../api.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { WorkPool } from '../work/port.js';
import { formatBytes } from './format.js';
import { type Fetched, reportDone, reportGaveUp, reportStopped } from './get-report.js';
import { jsonHelp, RESOURCE_FIELDS, TORRENT_FIELDS, TORRENT_PROGRESS } from './json-help.js';
import {
  addEngineOptions,
  argument,
  type CommonOptions,
  type EngineCliOptions,
  examples,
  repeated,
} from './options.js';
import type { Output } from './output.js';
import { Patience, UNATTENDED_TIMEOUT_MS } from './patience.js';
import type { Context, Outcome, Runner } from './run.js';
import { torrentSampler } from './sample.js';
import type { FileChoice, SelectOptions } from './select.js';
import { tune } from './tune.js';
import { resourceFields } from './usage.js';
import { type HostPort, parseDuration, parseGlob, parseHostPort, parseTimeLimit, parseWebSeedUrl } from './values.js';
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
}

export function getCommand(run: Runner): Command {
  const command = new Command('get')
    .description('Download what a torrent describes; run it again to continue')
    .argument('<torrent>', 'a .torrent file, or an http(s) URL of one')
    .option('-o, --output <dir>', 'folder that receives the file, or the torrent’s folder', '.')
    .addOption(listOption('--peer <host:port>', 'a peer to connect to; may be repeated', parseHostPort))
    .addOption(listOption('--web-seed <url>', 'an http(s) URL of the same data; may be repeated', parseWebSeedUrl))
    .addOption(
      new Option('--seed-for <duration>', 'keep seeding after completion: 30s, 10m, 2h, 1d, forever').argParser(
        argument(parseDuration),
      ),
    )
    .addOption(
      limitOption(
        '--timeout <duration>',
        'give up when nothing was verified for so long ' +
          '(default: never on a terminal, else when nothing useful came for 10m)',
      ),
    )
    .addOption(limitOption('--deadline <duration>', 'give up when the download is not complete after so long in all'))
    .addOption(globOption('--only <glob>', 'download only these files; may be repeated'))
    .addOption(globOption('--skip <glob>', 'leave these files out, also of what --only names; may be repeated'))
    .addOption(globOption('--high <glob>', 'download these files before the others; may be repeated'))
    .addOption(globOption('--low <glob>', 'download these files after the others; may be repeated'))
    .option('--sequential', 'download in order instead of rarest first, to read along')
    .option('--force', 'overwrite files that are there and are not this torrent’s');
  return addEngineOptions(command, true)
    .addHelpText(
      'after',
      `${examples(
        'haul get http://192.0.2.7:6969/image.iso.torrent --output /srv/images',
        "haul get build.torrent --output . --peer '[2001:db8::7]:6881' --seed-for 10m",
        'haul get http://192.0.2.7:6969/image.iso.torrent --zone eu-1/rack7',
        "haul get build.torrent --only 'bin/**' --only '*.txt' --skip '**/*.map'",
        'haul get http://192.0.2.7:6969/image.iso.torrent --timeout 2m --deadline 1h   # unattended',
        "haul get build.torrent --high 'docs/{index,start}.html' --sequential",
      )}

Globs match paths inside the torrent, with '/' and without its own folder; for a single file its name. * and ?
match within a name, ** across folders; [a-z] and {a,b} work too. A skipped file is not made, and one that is
there is not touched. Run again with other globs, or none, to fetch more: pieces that lie across the border of a
skipped file may be fetched anew.

A file that is there already is checked. What matches is kept: a new version of an image may be fetched into the
place of the old one, and a longer file is then cut to size. A file in which no piece matches is not touched,
nor one with a second name (a hard link) that would change with it: the command says so and exits with 1, unless
--force is given.

A server of the .torrent that is not there yet, breaks off or answers 5xx or 429 is asked again for a minute
(with --timeout: for that long); one that answers 404 is not. While nothing comes, a line says what the download
waits for: peers that cannot be reached, trackers that fail, a slow disk. When --timeout or --deadline ends it,
the reason of each tracker and of the peers is printed. Checking what is here is no waiting, and --seed-for
comes after the limits. What is verified is kept: the same command continues.

Exit codes: 0 done, 1 failed, 2 usage, 3 nothing was verified (default: nothing useful came) for --timeout,
4 not complete at the --deadline.
Ctrl-C while downloading exits with 130 and keeps what is verified; the same command continues.
Ctrl-C while seeding afterwards exits with 0: the data is complete.
One haul get at a time downloads to the same place, and nobody seeds from it meanwhile: a second one says so and
exits with 1.${jsonHelp({
        ...TORRENT_PROGRESS,
        result:
          'outcome path name infoHash wantedFiles fileCount seconds averageBytesPerSec sources[trackers,addresses] ' +
          `${TORRENT_FIELDS} ${RESOURCE_FIELDS}`,
        stopped: `uploadedBytes ${RESOURCE_FIELDS}`,
      })}`,
    )
    .action((torrent: string, options: GetOptions) => run('get', options, (context) => get(context, torrent, options)));
}

function listOption<T>(flags: string, description: string, parse: (text: string) => T): Option {
  return new Option(flags, description).argParser(repeated(parse));
}

function limitOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(argument(parseTimeLimit));
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
  const [{ awaitTorrent }, { checkOutputFolder }, { makeFolder }, { chooseFiles }] = await Promise.all([
    import('./await-torrent.js'),
    import('./folders.js'),
    import('../storage/folders.js'),
    import('./select.js'),
  ]);
  const folder = await checkOutputFolder(options.output);
  // Who says how long to wait means the .torrent as well.
  const retryForMs = options.timeout === undefined ? {} : { retryForMs: Number.POSITIVE_INFINITY };
  const metainfo = await awaitTorrent(output, source, signal, { patience, ...retryForMs });
  if (typeof metainfo === 'string') return metainfo;
  // From here to the first sample it is our own work that takes time.
  patience.watch(() => true);
  const choice = chooseFiles(metainfo, options);
  await makeFolder(folder);
  if (signal.aborted) return 'interrupted';
  warnLonely(output, metainfo, options);
  return getInto(context, { ...means, folder, metainfo, choice }, options);
}

interface Goal {
  readonly folder: string;
  readonly metainfo: Metainfo;
  readonly choice: FileChoice;
  readonly patience: Patience;
  readonly pool: WorkPool;
}

async function getInto(context: Context, goal: Goal, options: GetOptions): Promise<Outcome> {
  const { output, signal } = context;
  const { openEngine, watchTorrent } = await import('./engine-door.js');
  const engine = await openEngine(output, options, goal.pool);
  try {
    if (signal.aborted) return 'interrupted';
    const { folder, metainfo, choice, patience } = goal;
    const torrent = engine.add(metainfo, {
      output: folder,
      peers: options.peer ?? [],
      webSeeds: options.webSeed ?? [],
      sequential: options.sequential === true,
      overwrite: options.force === true,
      ...(choice.priorities === undefined ? {} : { priorities: choice.priorities }),
    });
    watchTorrent(output, torrent);
    return await download(context, { engine, torrent, choice, patience }, options.seedFor ?? 0);
  } finally {
    output.stopProgress();
    await engine.close();
  }
}

interface Running extends Fetched {
  readonly engine: Engine;
  readonly patience: Patience;
}

async function download(context: Context, running: Running, seedForMs: number): Promise<Outcome> {
  const { output, signal } = context;
  const { engine, torrent, patience } = running;
  const started = performance.now();
  const view = output.progress(torrentSampler(torrent, 'complete'));
  torrent.once('verified', () => void tune());
  patience.watch(makeProgressLook(torrent, patience.countsBytes));
  const waiting = sayWaiting(output, torrent);
  const either = eitherSignal(signal, patience.signal);
  const end = await settledOrAborted(torrent.done, either).finally(waiting.end);
  patience.end();
  const seconds = (performance.now() - started) / 1000;
  if (end === 'aborted') {
    const before = { stats: torrent.stats(), sources: torrent.sources() };
    await torrent.stop();
    view.stop();
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
  if (hasWebSeed || (options.peer ?? []).length > 0 || urls.some((url) => /^(?:https?|udp):/i.test(url))) return;
  const [code, reason] =
    urls.length === 0
      ? ['no-trackers', 'the torrent names no tracker']
      : ['unusable-trackers', 'the torrent names only trackers that cannot be contacted'];
  output.warn(`${reason} and no --peer is given: waiting for peers that connect to us`, { code });
}
