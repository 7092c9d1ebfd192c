/** `haul track`: a tracker alone, for any torrent, until interrupted. */
import { Command, Option } from 'commander';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { Advertised } from '../net/advertised.js';
import { jsonHelp, PLAIN_PROGRESS, RESOURCE_FIELDS } from './json-help.js';
import {
  advertiseOption,
  argument,
  type CommonOptions,
  entriesOption,
  examples,
  hostOption,
  portOption,
} from './options.js';
import type { Context, Outcome, Runner } from './run.js';
import { stateFileOf, stateOptions } from './state-file.js';
import { STATS_FIELDS, statsText, TrackerMemory, tellStats } from './track-stats.js';
import { tuneSoon } from './tune.js';
import { resourceFields } from './usage.js';
import { parseSeconds } from './values.js';

interface TrackOptions extends CommonOptions {
  readonly host?: string;
  readonly advertise?: Advertised;
  readonly port: number;
  readonly peersPerAddress: number;
  readonly state?: string | boolean;
  readonly allow?: readonly string[];
  readonly passkeys?: string;
  readonly data?: string;
  readonly interval?: number;
  readonly expiry?: number;
}

/** The port trackers have used since the first ones. */
const DEFAULT_PORT = 6969;

export function trackCommand(run: Runner): Command {
  const command = new Command('track')
    .description('Run a tracker alone, until interrupted')
    .addOption(hostOption('local address to listen on (default: all)'))
    .addOption(advertiseOption())
    .addOption(portOption('port of the tracker, 0 for any').default(DEFAULT_PORT))
    .addOption(entriesOption())
    .option('--allow <torrent...>', 'track these only: .torrent files, or info-hashes in hex')
    .option('--passkeys <file>', 'a key in each line: who announces must name one, /KEY/announce')
    .option('--data <dir>', 'offer the data of the .torrent files of --allow by HTTP too, checked before, and them')
    .addOption(durationOption('--interval <duration>', 'how often clients shall announce (default: 5m)'))
    .addOption(
      durationOption('--expiry <duration>', 'forget who was silent for so long (default: two intervals and a minute)'),
    );
  for (const option of stateOptions()) command.addOption(option);
  return command
    .addHelpText(
      'after',
      examples(
        'haul track',
        'haul track --allow *.torrent --passkeys keys.txt',
        'haul track --allow image.iso.torrent --data /srv/images',
      ) +
        jsonHelp({
          ...PLAIN_PROGRESS,
          offering: 'name infoHash torrentUrl dataUrl',
          listening: 'what host port announceUrl',
          stats: STATS_FIELDS,
          result: `outcome ${STATS_FIELDS} ${RESOURCE_FIELDS}`,
        }),
    )
    .action((options: TrackOptions) => run('track', options, (context) => track(context, options), 'service'));
}

function durationOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(argument(parseSeconds));
}

async function track(context: Context, options: TrackOptions): Promise<Outcome> {
  const { output, signal } = context;
  const [{ startTracker }, { withPortHint }, { hostForUrl, localAddress }, { advertisedUrl }] = await Promise.all([
    import('../library/tracker.js'),
    import('./engine-door.js'),
    import('../net/own-addresses.js'),
    import('../net/advertised.js'),
  ]);
  const stateFile = stateFileOf(options);
  await checkTogether(options);
  const allowed = options.allow === undefined ? null : await allowedOf(options.allow, signal);
  const passkeys = options.passkeys === undefined ? null : await passkeysOf(options.passkeys);
  const memory = new TrackerMemory();
  const tracker = await withPortHint('--port', () =>
    startTracker({
      port: options.port,
      entriesPerAddress: options.peersPerAddress,
      log: output.log,
      ...(options.interval === undefined ? {} : { intervalSeconds: options.interval }),
      ...(options.expiry === undefined ? {} : { expirySeconds: options.expiry }),
      ...(options.host === undefined ? {} : { host: options.host }),
      ...(stateFile === null ? {} : { stateFile }),
      ...(allowed === null ? {} : { registeredOnly: true }),
      ...(passkeys === null ? {} : { passkeys }),
    }),
  );
  const stats = () => memory.with(tracker.stats());
  try {
    for (const { infoHash } of allowed ?? []) tracker.register(infoHash);
    const base =
      options.advertise === undefined
        ? `http://${hostForUrl(options.host ?? localAddress())}:${tracker.port}`
        : advertisedUrl(options.advertise, tracker.port);
    if (options.data !== undefined) {
      const { offerData } = await import('./track-data.js');
      const torrents = (allowed ?? []).flatMap(({ metainfo }) => metainfo ?? []);
      await offerData(context, tracker, torrents, options.data, {
        base,
        isAdvertised: options.advertise !== undefined,
      });
    }
    const announceUrl = passkeys === null ? `${base}/announce` : `${base}/PASSKEY/announce`;
    output.event(
      'listening',
      { what: 'tracker', host: tracker.host, port: tracker.port, announceUrl },
      `tracker at ${announceUrl}; Ctrl-C ends it`,
    );
    tuneSoon();
    await tellStats(output, stats, signal);
    output.event('result', { outcome: 'stopped', ...stats(), ...resourceFields() }, statsText(stats()));
  } finally {
    await tracker.close();
  }
  return 'interrupted';
}

/** @throws HaulError BAD_ARGUMENT */
async function checkTogether({ data, allow, passkeys, interval = 300, expiry }: TrackOptions): Promise<void> {
  const { HaulError } = await import('../errors.js');
  const wrong = (text: string, option: string) => new HaulError('BAD_ARGUMENT', text, { option });
  if (data !== undefined && !(allow ?? []).some((torrent) => !INFO_HASH.test(torrent)))
    throw wrong('--data: name the .torrent files of that data with --allow', '--data');
  if (data !== undefined && passkeys !== undefined)
    throw wrong('--data is for everybody, and --passkeys for some: one of them only', '--data');
  if (expiry !== undefined && expiry <= interval)
    throw wrong(`--expiry must be longer than the ${interval} s of the interval`, '--expiry');
}

const INFO_HASH = /^[0-9a-f]{40}$/i;

interface Allowed {
  readonly infoHash: Uint8Array;
  /** Null: only its hash is known. */
  readonly metainfo: Metainfo | null;
}

/** @throws HaulError as `loadTorrent` */
async function allowedOf(torrents: readonly string[], signal: AbortSignal): Promise<readonly Allowed[]> {
  const { loadTorrent } = await import('./torrent-file.js');
  const allowed: Allowed[] = [];
  for (const torrent of torrents) {
    const metainfo = INFO_HASH.test(torrent) ? null : await loadTorrent(torrent, signal);
    allowed.push({ infoHash: metainfo?.infoHash ?? Buffer.from(torrent, 'hex'), metainfo });
  }
  return allowed;
}

/** Empty lines are none, nor are those that begin with #. @throws HaulError as `readSmallFile`, BAD_ARGUMENT */
async function passkeysOf(path: string): Promise<readonly string[]> {
  const [{ readSmallFile }, { HaulError }, { PASSKEY }] = await Promise.all([
    import('./small-file.js'),
    import('../errors.js'),
    import('../library/tracker.js'),
  ]);
  const lines = readSmallFile(path, 'read passkeys', '--passkeys').split('\n');
  const keys = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  if (keys.length === 0) throw new HaulError('BAD_ARGUMENT', `--passkeys ${path}: it holds no key`, { path });
  // Which one it is stays untold: it may be a key that somebody mistyped.
  if (!keys.every((key) => PASSKEY.test(key)))
    throw new HaulError('BAD_ARGUMENT', `--passkeys ${path}: a key has 1 to 64 letters, digits, dots, dashes, _`, {
      path,
    });
  return keys;
}
