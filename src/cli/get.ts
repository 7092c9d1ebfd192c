/** `haul get`: downloads what a torrent describes, continues what an earlier run left, may seed afterwards. */
import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { Engine, Torrent } from '../api.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import { count, formatBytes, formatRate, formatSeconds, percent, printable } from './format.js';
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
import type { Context, Outcome, Runner } from './run.js';
import { torrentFields, torrentSampler } from './sample.js';
import type { FileChoice, SelectOptions } from './select.js';
import { resourceFields } from './usage.js';
import { type HostPort, parseDuration, parseGlob, parseHostPort } from './values.js';
import { delayOrAborted, settledOrAborted } from './wait.js';

interface GetOptions extends CommonOptions, EngineCliOptions, SelectOptions {
  readonly output: string;
  readonly peer?: readonly HostPort[];
  /** Milliseconds. */
  readonly seedFor?: number;
  readonly sequential?: boolean;
  /** Overwrite files that are not the torrent's. */
  readonly force?: boolean;
}

export function getCommand(run: Runner): Command {
  const command = new Command('get')
    .description('Download what a torrent describes; run it again to continue')
    .argument('<torrent>', 'a .torrent file, or an http(s) URL of one')
    .option('--output <dir>', 'folder that receives the file, or the torrent’s folder', '.')
    .addOption(
      new Option('--peer <host:port>', 'a peer to connect to; may be repeated').argParser(repeated(parseHostPort)),
    )
    .addOption(
      new Option('--seed-for <duration>', 'keep seeding after completion: 30s, 10m, 2h, 1d, forever').argParser(
        argument(parseDuration),
      ),
    )
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
        "haul get build.torrent --high 'docs/{index,start}.html' --sequential",
      )}

Globs match paths inside the torrent, with '/' and without its own folder; for a single file its name. * and ? match within
a name, ** across folders; [a-z] and {a,b} work too. A skipped file is not made, and one that is there is not touched. Run
again with other globs, or none, to fetch more: pieces that lie across the border of a skipped file may be fetched anew.

A file that is there already is checked. What matches is kept: a new version of an image may be fetched into the place of the old
one, and a longer file is then cut to size. A file in which no piece matches is not touched: the command says so and exits with 1,
unless --force is given.

Ctrl-C while downloading exits with 130 and keeps what is verified; the same command continues.
Ctrl-C while seeding afterwards exits with 0: the data is complete.
One haul get at a time downloads to the same place, and nobody seeds from it meanwhile: a second one says so and exits with 1.${jsonHelp(
        {
          ...TORRENT_PROGRESS,
          result: `outcome path name infoHash wantedFiles fileCount seconds averageBytesPerSec ${TORRENT_FIELDS} ${RESOURCE_FIELDS}`,
          stopped: `uploadedBytes ${RESOURCE_FIELDS}`,
        },
      )}`,
    )
    .action((torrent: string, options: GetOptions) => run('get', options, (context) => get(context, torrent, options)));
}

function globOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(repeated(parseGlob));
}

async function get(context: Context, source: string, options: GetOptions): Promise<Outcome> {
  const { output, signal } = context;
  const [{ loadTorrent }, { checkOutputFolder }, { makeFolder }, { chooseFiles }] = await Promise.all([
    import('./torrent-file.js'),
    import('./folders.js'),
    import('../storage/folders.js'),
    import('./select.js'),
  ]);
  const folder = await checkOutputFolder(options.output);
  const metainfo = await loadTorrent(source, signal);
  const choice = chooseFiles(metainfo, options);
  await makeFolder(folder);
  if (signal.aborted) return 'interrupted';
  warnLonely(output, metainfo, options);
  return getInto(context, { folder, metainfo, choice }, options);
}

interface Goal {
  readonly folder: string;
  readonly metainfo: Metainfo;
  readonly choice: FileChoice;
}

async function getInto(context: Context, goal: Goal, options: GetOptions): Promise<Outcome> {
  const { output, signal } = context;
  const { openEngine, watchTorrent } = await import('./engine-door.js');
  const engine = await openEngine(output, options);
  try {
    if (signal.aborted) return 'interrupted';
    const { folder, metainfo, choice } = goal;
    const torrent = engine.add(metainfo, {
      output: folder,
      peers: options.peer ?? [],
      sequential: options.sequential === true,
      overwrite: options.force === true,
      ...(choice.priorities === undefined ? {} : { priorities: choice.priorities }),
    });
    watchTorrent(output, torrent);
    return await download(context, { engine, torrent, choice }, options.seedFor ?? 0);
  } finally {
    output.stopProgress();
    await engine.close();
  }
}

interface Running {
  readonly engine: Engine;
  readonly torrent: Torrent;
  readonly choice: FileChoice;
}

async function download(context: Context, running: Running, seedForMs: number): Promise<Outcome> {
  const { output, signal } = context;
  const { engine, torrent } = running;
  const started = performance.now();
  const view = output.progress(torrentSampler(torrent, 'complete'));
  const end = await settledOrAborted(torrent.done, signal);
  const seconds = (performance.now() - started) / 1000;
  if (end === 'aborted') {
    const isKnown = torrent.state === 'downloading';
    await torrent.stop();
    view.stop();
    reportStopped(output, running, seconds, isKnown);
    return 'interrupted';
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

function reportDone(output: Output, { torrent, choice }: Running, seconds: number): void {
  const stats = torrent.stats();
  const path = join(torrent.output, torrent.metainfo.name);
  const isNew = stats.downloadedBytes > 0;
  const { wantedFiles, fileCount } = choice;
  const part = wantedFiles < fileCount ? `${wantedFiles} of ${count(fileCount, 'file')}, ` : '';
  const what = `${printable(path, 4000)}: ${part}${formatBytes(stats.wantedBytes)}`;
  output.event(
    'result',
    {
      outcome: 'done',
      path,
      name: torrent.metainfo.name,
      infoHash: torrent.metainfo.infoHashHex,
      wantedFiles,
      fileCount,
      seconds,
      averageBytesPerSec: Math.round(stats.downloadedBytes / seconds),
      ...torrentFields(stats),
      ...resourceFields(),
    },
    isNew
      ? `${what}, ${formatBytes(stats.downloadedBytes)} fetched in ` +
          `${formatSeconds(seconds)}, ${formatRate(stats.downloadedBytes / seconds)}`
      : `${what}, already complete`,
  );
}

/** @param isKnown false before the end of the check of what is here: nobody knows then how much is good. */
function reportStopped(output: Output, { torrent, choice }: Running, seconds: number, isKnown: boolean): void {
  const stats = torrent.stats();
  output.event(
    'result',
    {
      outcome: 'interrupted',
      path: join(torrent.output, torrent.metainfo.name),
      name: torrent.metainfo.name,
      infoHash: torrent.metainfo.infoHashHex,
      wantedFiles: choice.wantedFiles,
      fileCount: choice.fileCount,
      seconds,
      ...torrentFields(stats),
      ...resourceFields(),
    },
    '',
  );
  const done = `with ${percent(stats.verifiedBytes, stats.wantedBytes).toFixed(1)}% here`;
  const when = isKnown ? done : 'before what is here was checked';
  output.note(`stopped ${when}; run the same command again to continue`);
}

/** A download that cannot find anyone would otherwise wait in silence. */
function warnLonely(output: Output, metainfo: Metainfo, options: GetOptions): void {
  for (const warning of metainfo.warnings) output.warn(warning);
  const urls = metainfo.trackers.flat();
  if ((options.peer ?? []).length > 0 || urls.some((url) => /^https?:/i.test(url))) return;
  const reason =
    urls.length === 0 ? 'the torrent names no tracker' : 'the torrent names only udp trackers (not contacted yet)';
  output.warn(`${reason} and no --peer is given: waiting for peers that connect to us`);
}
