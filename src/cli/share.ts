/** `haul share`: the library's `share` with a progress bar and a line to paste elsewhere. */
import { basename } from 'node:path';
import { Command } from 'commander';
import { DEFAULTS } from '../config.js';
import type { HaulError } from '../errors.js';
import type { Share } from '../library/share.js';
import { hostForUrl, LOOPBACK } from '../net/own-addresses.js';
import { findOwnHost } from '../net/own-host.js';
import { formatBytes, printable } from './format.js';
import { jsonHelp, RESOURCE_FIELDS, SPREAD_FIELDS, TORRENT_FIELDS, TORRENT_PROGRESS } from './json-help.js';
import {
  addEngineOptions,
  advertiseOption,
  type CommonOptions,
  type EngineCliOptions,
  entriesOption,
  examples,
  excludeOption,
  hostOption,
  portOption,
  superOption,
  trackerOption,
} from './options.js';
import type { Output } from './output.js';
import type { Context, Outcome, Runner } from './run.js';
import { shellWord } from './shell-word.js';
import { stateFileOf, stateOptions } from './state-file.js';

interface ShareOptions extends CommonOptions, EngineCliOptions {
  readonly http?: number;
  readonly advertise?: { readonly text: string };
  readonly tracker?: readonly string[];
  readonly super?: boolean;
  readonly webSeed: boolean;
  readonly exclude?: readonly string[];
  readonly peersPerAddress: number;
  readonly state?: string | boolean;
}

const { first: HTTP_FIRST, last: HTTP_LAST } = DEFAULTS.sharePortRange;

export function shareCommand(run: Runner): Command {
  const command = new Command('share')
    .description('Share files or folders: makes the torrents, serves them, tracks and seeds, until interrupted')
    .argument('<paths...>', 'files and folders, a torrent each')
    .addOption(
      portOption(
        `port of the .torrent and the tracker, 0 for any (default: first free of ${HTTP_FIRST}-${HTTP_LAST})`,
        '--http <n>',
      ),
    )
    .addOption(hostOption())
    .addOption(advertiseOption())
    .addOption(excludeOption())
    .addOption(trackerOption())
    .option('--no-web-seed', 'do not offer the data by HTTP too (BEP 19)')
    .addOption(superOption())
    .addOption(entriesOption());
  for (const option of stateOptions()) command.addOption(option);
  return addEngineOptions(command, false)
    .addHelpText(
      'after',
      examples(
        'haul share image.iso',
        'haul share build/ image.iso --http 8080 --port 0',
        'haul share image.iso --super',
      ) +
        jsonHelp({
          ...TORRENT_PROGRESS,
          listening:
            'what name infoHash lengthBytes port httpPort torrentUrl loopbackUrl announceUrl magnet getCommand',
          spread: SPREAD_FIELDS,
          result: `outcome seconds ${TORRENT_FIELDS} ${RESOURCE_FIELDS}`,
        }),
    )
    .action((paths: string[], options: ShareOptions) =>
      run('share', options, (context) => share(context, paths, options), 'service'),
    );
}

async function share(context: Context, paths: readonly string[], options: ShareOptions): Promise<Outcome> {
  const { output, signal } = context;
  const [{ engineOptions, loadEngine, watchTorrent, withPortHint }, { seedUntilInterrupted }, { showHashing }] =
    await Promise.all([import('./engine-door.js'), import('./seed.js'), import('./create.js')]);
  await loadEngine();
  const { shareAll } = await import('../library/share.js');
  // For HTTP, and for those who are told where it is; peers may have one of each family.
  const [host] = (await findOwnHost(options.host)).listenAt;
  let showProgress: (doneBytes: number, totalBytes: number) => void = () => {};
  const shares = await withPortHint(portOptionOf, () =>
    shareAll(paths, {
      trackers: (options.tracker ?? []).map((url) => [url]),
      ...(options.http === undefined ? {} : { httpPort: options.http }),
      stateFileOf: (port) => stateFileOf({ ...options, host, port }),
      ...(options.exclude === undefined ? {} : { exclude: options.exclude }),
      superSeeding: options.super === true,
      ...(options.webSeed ? {} : { webSeed: false }),
      tracker: { entriesPerAddress: options.peersPerAddress },
      engine: engineOptions(output, options),
      log: output.log,
      ...(host === undefined ? {} : { host }),
      ...(options.advertise === undefined ? {} : { advertise: options.advertise.text }),
      onSource: (source) => {
        showProgress = showHashing(output, basename(source));
      },
      onProgress: (doneBytes, totalBytes) => showProgress(doneBytes, totalBytes),
      signal,
    }),
  );
  try {
    output.stopProgress();
    for (const { created, torrent } of shares) {
      for (const warning of created.warnings) output.warn(warning);
      watchTorrent(output, torrent);
    }
    const torrents = shares.map(({ torrent }) => torrent);
    return await seedUntilInterrupted(context, torrents, () => {
      const { port } = shares[0]!.tracker;
      if (options.http === undefined && port !== HTTP_FIRST)
        output.note(`port ${HTTP_FIRST} is in use: the .torrent is served at port ${port}`);
      for (const shared of shares) announceToUser(output, shared, shares.length, host);
    });
  } finally {
    output.stopProgress();
    await shares[0]!.close();
  }
}

/** Which of the two ports an error is about. */
function portOptionOf({ facts }: HaulError): string {
  return String(facts.operation).startsWith('tracker') ? '--http' : '--port';
}

function announceToUser(output: Output, shared: Share, count: number, host: string | undefined): void {
  const { name, infoHashHex, lengthBytes } = shared.created;
  const { port } = shared.engine;
  const others = shared.hosts.slice(1);
  const torrentUrl = shared.torrentUrl();
  const isLoopback = host === undefined || host === '::' || host === '0.0.0.0';
  const loopbackUrl = shared.torrentUrl(isLoopback ? LOOPBACK : host);
  const magnet = shared.magnetLink();
  const getCommand = `haul get ${shellWord(torrentUrl)} --output .`;
  const lines = [
    `sharing ${printable(name)}, ${formatBytes(lengthBytes)}, on port ${port}; Ctrl-C ends ${count > 1 ? 'all' : 'it'}`,
    `info-hash ${infoHashHex}`,
    '',
    `  ${getCommand}`,
    '',
    `magnet link: ${shellWord(magnet)}`,
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
      magnet,
      getCommand,
    },
    lines.join('\n'),
  );
}
