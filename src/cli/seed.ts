/** `haul seed`: offers complete data that is already here, until interrupted. */
import { Command, Option } from 'commander';
import type { Torrent } from '../api.js';
import type { Advertised } from '../net/advertised.js';
import { formatBytes, formatSeconds, printable } from './format.js';
import { jsonHelp, RESOURCE_FIELDS, SPREAD_FIELDS, TORRENT_FIELDS, TORRENT_PROGRESS } from './json-help.js';
import {
  addEngineOptions,
  argument,
  type CommonOptions,
  type EngineCliOptions,
  examples,
  hostOption,
  superOption,
} from './options.js';
import type { Output } from './output.js';
import type { Context, Outcome, Runner } from './run.js';
import { sumStats, torrentFields, torrentsSampler } from './sample.js';
import { tuneSoon } from './tune.js';
import { resourceFields } from './usage.js';
import { parseAdvertisedPeer } from './values.js';
import { delayOrAborted, settledOrAborted } from './wait.js';
import { warnOfProblems } from './waiting.js';

interface SeedOptions extends CommonOptions, EngineCliOptions {
  readonly data: string;
  /** False with --no-verify. */
  readonly verify: boolean;
  readonly super?: boolean;
  readonly advertise?: Advertised;
}

export function seedCommand(run: Runner): Command {
  const command = new Command('seed')
    .description('Offer data that is already here, until interrupted')
    .argument('<torrent>', 'a .torrent file, or an http(s) URL of one')
    .requiredOption('--data <dir>', 'the folder that holds the file, or the torrent’s folder')
    .option('--no-verify', 'trust the data instead of hashing it first')
    .addOption(superOption())
    .addOption(hostOption())
    .addOption(
      new Option(
        '--advertise <host[:port]>',
        'what trackers are told of this peer, behind NAT: many believe addresses of their own network only',
      ).argParser(argument(parseAdvertisedPeer)),
    );
  return addEngineOptions(command, false)
    .addHelpText(
      'after',
      examples(
        'haul seed image.iso.torrent --data /srv/images',
        'haul seed image.iso.torrent --data /srv/images --super   # first push: ' +
          'one copy leaves, the swarm does the rest',
      ) +
        jsonHelp({
          ...TORRENT_PROGRESS,
          listening: 'what port infoHash name',
          spread: SPREAD_FIELDS,
          result: `outcome seconds ${TORRENT_FIELDS} ${RESOURCE_FIELDS}`,
        }),
    )
    .action((torrent: string, options: SeedOptions) =>
      run('seed', options, (context) => seed(context, torrent, options), 'service'),
    );
}

async function seed(context: Context, source: string, options: SeedOptions): Promise<Outcome> {
  const { output, signal } = context;
  const [{ awaitTorrent }, { checkDataFolder }, { openEngine, startPool, watchTorrent }] = await Promise.all([
    import('./await-torrent.js'),
    import('./folders.js'),
    import('./engine-door.js'),
  ]);
  const metainfo = await awaitTorrent(output, source, signal, { host: options.host });
  if (typeof metainfo === 'string') return metainfo;
  for (const warning of metainfo.warnings) output.warn(warning);
  const folder = await checkDataFolder(options.data, metainfo);
  const { advertise } = options;
  const port = advertise?.port ?? null;
  const announceAs = advertise && { host: advertise.host, ...(port === null ? {} : { port }) };
  const engineOptions = { ...options, ...(announceAs === undefined ? {} : { announceAs }) };
  const pool = options.verify ? await startPool(output, engineOptions) : undefined;
  const engine = await openEngine(output, engineOptions, pool);
  try {
    const torrent = engine.add(metainfo, {
      output: folder,
      mode: 'seed',
      trustData: !options.verify,
      superSeeding: options.super === true,
    });
    watchTorrent(output, torrent);
    return await seedUntilInterrupted(context, [torrent], () => {
      output.event(
        'listening',
        { what: 'peers', port: engine.port, infoHash: metainfo.infoHashHex, name: metainfo.name },
        `seeding ${printable(metainfo.name)} on port ${engine.port}; Ctrl-C ends it`,
      );
    });
  } finally {
    output.stopProgress();
    await engine.close();
  }
}

/** Waits until all data is known good, then serves until the signal. Also the second half of `haul share`. */
export async function seedUntilInterrupted(
  { output, signal }: Context,
  torrents: readonly Torrent[],
  onReady: () => void,
): Promise<Outcome> {
  const started = performance.now();
  for (const torrent of torrents) {
    torrent.once('spread', () => sayIsSpread(output, torrent, started, torrents.length > 1));
    torrent.once('peer', tuneSoon);
  }
  const view = output.progress(torrentsSampler(torrents, 'serve'));
  const problems = torrents.map((torrent) => warnOfProblems(output, torrent));
  const done = Promise.all(torrents.map((torrent) => torrent.done));
  if ((await settledOrAborted(done, signal)) === 'settled') {
    onReady();
    // A torrent that fails while it seeds, or rests because the disk has gone away, ends the command.
    const failure = new Promise<void>((_, reject) => {
      for (const torrent of torrents) {
        torrent.once('failed', reject);
        torrent.once('paused', reject);
      }
    });
    await Promise.race([delayOrAborted(Number.POSITIVE_INFINITY, signal), failure]);
  }
  for (const problem of problems) problem.end();
  await Promise.all(torrents.map((torrent) => torrent.stop()));
  view.stop();
  const stats = sumStats(torrents.map((torrent) => torrent.stats()));
  const seconds = (performance.now() - started) / 1000;
  output.event(
    'result',
    { outcome: 'stopped', seconds, ...torrentFields(stats), ...resourceFields() },
    `${formatBytes(stats.uploadedBytes)} sent in ${formatSeconds(seconds)}`,
  );
  return 'interrupted';
}

function sayIsSpread(output: Output, torrent: Torrent, startedMs: number, isOneOfMany: boolean): void {
  const { uploadedBytes, lengthBytes } = torrent.stats();
  const { name, infoHashHex } = torrent.metainfo;
  const of = isOneOfMany ? ` of ${printable(name)}` : '';
  const text = `every piece${of} is in the swarm after ${formatBytes(uploadedBytes)}; seeding goes on as usual`;
  const seconds = (performance.now() - startedMs) / 1000;
  output.event('spread', { infoHash: infoHashHex, seconds, uploadedBytes, lengthBytes }, text);
}
