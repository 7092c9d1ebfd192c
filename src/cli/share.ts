/** `haul share`: the library's `share` with a progress bar and a line to paste elsewhere. */
import { basename } from 'node:path';
import { Command } from 'commander';
import type { HaulError } from '../errors.js';
import type { Share } from '../library/share.js';
import { hostForUrl, LOOPBACK } from '../net/own-addresses.js';
import { formatBytes, printable } from './format.js';
import { jsonHelp, RESOURCE_FIELDS, SPREAD_FIELDS, TORRENT_FIELDS, TORRENT_PROGRESS } from './json-help.js';
import {
  addEngineOptions,
  type CommonOptions,
  type EngineCliOptions,
  entriesOption,
  examples,
  excludeOption,
  portOption,
  superOption,
  trackerOption,
} from './options.js';
import type { Output } from './output.js';
import type { Context, Outcome, Runner } from './run.js';
import { shellWord } from './shell-word.js';
import { stateFileOf, stateOptions } from './state-file.js';

interface ShareOptions extends CommonOptions, EngineCliOptions {
  readonly http: number;
  readonly tracker?: readonly string[];
  readonly super?: boolean;
  readonly exclude?: readonly string[];
  readonly peersPerAddress: number;
  readonly state?: string | boolean;
}

const DEFAULT_HTTP_PORT = 6969;

export function shareCommand(run: Runner): Command {
  const command = new Command('share')
    .description('Share a file or folder: makes the torrent, serves it, tracks and seeds, until interrupted')
    .argument('<path>', 'the file or folder')
    .addOption(portOption('port of the .torrent and the tracker, 0 for any', '--http <n>').default(DEFAULT_HTTP_PORT))
    .addOption(excludeOption())
    .addOption(trackerOption())
    .addOption(superOption())
    .addOption(entriesOption());
  for (const option of stateOptions()) command.addOption(option);
  return addEngineOptions(command, false)
    .addHelpText(
      'after',
      examples('haul share image.iso', 'haul share build/ --http 8080 --port 0', 'haul share image.iso --super') +
        jsonHelp({
          ...TORRENT_PROGRESS,
          listening: 'what name infoHash lengthBytes port httpPort torrentUrl loopbackUrl announceUrl getCommand',
          spread: SPREAD_FIELDS,
          result: `outcome seconds ${TORRENT_FIELDS} ${RESOURCE_FIELDS}`,
        }),
    )
    .action((path: string, options: ShareOptions) =>
      run('share', options, (context) => share(context, path, options), 'service'),
    );
}

async function share(context: Context, path: string, options: ShareOptions): Promise<Outcome> {
  const { output, signal } = context;
  const [
    { engineOptions, loadEngine, watchTorrent, withPortHint },
    { seedUntilInterrupted },
    { showHashing, warnUncontacted },
  ] = await Promise.all([import('./engine-door.js'), import('./seed.js'), import('./create.js')]);
  warnUncontacted(output, options.tracker ?? []);
  const stateFile = stateFileOf({ ...options, host: undefined, port: options.http });
  await loadEngine();
  const { share: startSharing } = await import('../library/share.js');
  const shared = await withPortHint(portOptionOf, () =>
    startSharing(path, {
      trackers: (options.tracker ?? []).map((url) => [url]),
      httpPort: options.http,
      ...(options.exclude === undefined ? {} : { exclude: options.exclude }),
      superSeeding: options.super === true,
      tracker: { entriesPerAddress: options.peersPerAddress, ...(stateFile === null ? {} : { stateFile }) },
      engine: engineOptions(output, options),
      log: output.log,
      onProgress: showHashing(output, basename(path)),
      signal,
    }),
  );
  try {
    output.stopProgress();
    for (const warning of shared.created.warnings) output.warn(warning);
    watchTorrent(output, shared.torrent);
    return await seedUntilInterrupted(context, shared.torrent, () => announceToUser(output, shared));
  } finally {
    output.stopProgress();
    await shared.close();
  }
}

/** Which of the two ports an error is about. */
function portOptionOf({ facts }: HaulError): string {
  return String(facts.operation).startsWith('tracker') ? '--http' : '--port';
}

function announceToUser(output: Output, shared: Share): void {
  const { name, infoHashHex, lengthBytes } = shared.created;
  const { port } = shared.engine;
  const others = shared.hosts.slice(1);
  const torrentUrl = shared.torrentUrl();
  const loopbackUrl = shared.torrentUrl(LOOPBACK);
  const getCommand = `haul get ${shellWord(torrentUrl)} --output .`;
  const lines = [
    `sharing ${printable(name)}, ${formatBytes(lengthBytes)}, on port ${port}; Ctrl-C ends it`,
    `info-hash ${infoHashHex}`,
    '',
    `  ${getCommand}`,
    '',
  ];
  if (others.length > 0) lines.push(`other addresses of this machine: ${others.map(hostForUrl).join(', ')}`);
  if (shared.hosts.length > 0) lines.push(`on this machine: haul get ${loopbackUrl} --output DIR`);
  else lines.push('this machine has no address that others could reach: the line works here only');
  output.event(
    'listening',
    {
      what: 'share',
      name,
      infoHash: infoHashHex,
      lengthBytes,
      port,
      httpPort: shared.tracker.port,
      torrentUrl,
      loopbackUrl,
      announceUrl: shared.announceUrl(),
      getCommand,
    },
    lines.join('\n'),
  );
}
