/** `haul track`: a tracker alone, for any torrent, until interrupted. */
import { Command } from 'commander';
import type { Advertised } from '../net/advertised.js';
import { jsonHelp, RESOURCE_FIELDS } from './json-help.js';
import { advertiseOption, type CommonOptions, entriesOption, examples, hostOption, portOption } from './options.js';
import type { Context, Outcome, Runner } from './run.js';
import { stateFileOf, stateOptions } from './state-file.js';
import { tuneSoon } from './tune.js';
import { resourceFields } from './usage.js';
import { delayOrAborted } from './wait.js';

interface TrackOptions extends CommonOptions {
  readonly host?: string;
  readonly advertise?: Advertised;
  readonly port: number;
  readonly peersPerAddress: number;
  readonly state?: string | boolean;
  readonly allow?: readonly string[];
  readonly passkeys?: string;
}

/** The port trackers have used since the first ones. */
const DEFAULT_PORT = 6969;

export function trackCommand(run: Runner): Command {
  const command = new Command('track')
    .description('Run a tracker alone, until interrupted')
    .addOption(hostOption())
    .addOption(advertiseOption())
    .addOption(portOption('port of the tracker, 0 for any').default(DEFAULT_PORT))
    .addOption(entriesOption())
    .option('--allow <torrent...>', 'track these only: .torrent files, or info-hashes in hex')
    .option('--passkeys <file>', 'a key in each line: who announces must name one, /KEY/announce');
  for (const option of stateOptions()) command.addOption(option);
  return command
    .addHelpText(
      'after',
      examples('haul track', 'haul track --allow *.torrent --passkeys keys.txt') +
        jsonHelp({ listening: 'what host port announceUrl', result: `outcome ${RESOURCE_FIELDS}` }),
    )
    .action((options: TrackOptions) => run('track', options, (context) => track(context, options), 'service'));
}

async function track({ output, signal }: Context, options: TrackOptions): Promise<Outcome> {
  const [{ startTracker }, { withPortHint }, { hostForUrl, localAddress }, { advertisedUrl }] = await Promise.all([
    import('../library/tracker.js'),
    import('./engine-door.js'),
    import('../net/own-addresses.js'),
    import('../net/advertised.js'),
  ]);
  const stateFile = stateFileOf(options);
  const allowed = options.allow === undefined ? null : await infoHashesOf(options.allow, signal);
  const passkeys = options.passkeys === undefined ? null : await passkeysOf(options.passkeys);
  const tracker = await withPortHint('--port', () =>
    startTracker({
      port: options.port,
      entriesPerAddress: options.peersPerAddress,
      log: output.log,
      ...(options.host === undefined ? {} : { host: options.host }),
      ...(stateFile === null ? {} : { stateFile }),
      ...(allowed === null ? {} : { registeredOnly: true }),
      ...(passkeys === null ? {} : { passkeys }),
    }),
  );
  try {
    for (const infoHash of allowed ?? []) tracker.register(infoHash);
    const base =
      options.advertise === undefined
        ? `http://${hostForUrl(options.host ?? localAddress())}:${tracker.port}`
        : advertisedUrl(options.advertise, tracker.port);
    const announceUrl = passkeys === null ? `${base}/announce` : `${base}/PASSKEY/announce`;
    output.event(
      'listening',
      { what: 'tracker', host: tracker.host, port: tracker.port, announceUrl },
      `tracker at ${announceUrl}; Ctrl-C ends it`,
    );
    tuneSoon();
    await delayOrAborted(Number.POSITIVE_INFINITY, signal);
  } finally {
    await tracker.close();
  }
  output.event('result', { outcome: 'stopped', ...resourceFields() }, '');
  return 'interrupted';
}

const INFO_HASH = /^[0-9a-f]{40}$/i;

/** @throws HaulError as `loadTorrent` */
async function infoHashesOf(torrents: readonly string[], signal: AbortSignal): Promise<readonly Uint8Array[]> {
  const { loadTorrent } = await import('./torrent-file.js');
  const infoHashes: Uint8Array[] = [];
  for (const torrent of torrents)
    infoHashes.push(
      INFO_HASH.test(torrent) ? Buffer.from(torrent, 'hex') : (await loadTorrent(torrent, signal)).infoHash,
    );
  return infoHashes;
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
