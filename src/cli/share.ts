/**
 * `haul share`: one process that makes the torrent, serves it over HTTP, tracks and seeds.
 * Ports are opened before the hashing, so that a busy port is told at once.
 */
import { basename, dirname } from 'node:path';
import { Command } from 'commander';
import type { Engine } from '../api.js';
import type { Metainfo } from '../metainfo/metainfo.js';
import type { TrackerServer } from '../tracker/server.js';
import { hostForUrl, LOOPBACK, localAddresses, shellWord, torrentUrlPath } from './addresses.js';
import { formatBytes, printable } from './format.js';
import { jsonHelp, RESOURCE_FIELDS, SPREAD_FIELDS, TORRENT_FIELDS, TORRENT_PROGRESS } from './json-help.js';
import {
  addEngineOptions,
  type CommonOptions,
  type EngineCliOptions,
  entriesOption,
  examples,
  portOption,
  superOption,
  trackerOption,
} from './options.js';
import type { Output } from './output.js';
import type { Context, Outcome, Runner } from './run.js';
import { stateFileOf, stateOptions } from './state-file.js';

interface ShareOptions extends CommonOptions, EngineCliOptions {
  readonly http: number;
  readonly tracker?: readonly string[];
  readonly super?: boolean;
  readonly peersPerAddress: number;
  readonly state?: string | boolean;
}

const DEFAULT_HTTP_PORT = 6969;

export function shareCommand(run: Runner): Command {
  const command = new Command('share')
    .description('Share a file or folder: makes the torrent, serves it, tracks and seeds, until interrupted')
    .argument('<path>', 'the file or folder')
    .addOption(portOption('port of the .torrent and the tracker, 0 for any', '--http <n>').default(DEFAULT_HTTP_PORT))
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
    .action((path: string, options: ShareOptions) => run('share', options, (context) => share(context, path, options)));
}

async function share(context: Context, path: string, options: ShareOptions): Promise<Outcome> {
  const { output, signal } = context;
  const [{ checkSource, hashSource, warnUncontacted }, { openEngine, watchTorrent, withPortHint }, { startTracker }] =
    await Promise.all([import('./create.js'), import('./engine-door.js'), import('../tracker/server.js')]);
  const { seedUntilInterrupted } = await import('./seed.js');
  const source = await checkSource(path);
  const extraTiers = (options.tracker ?? []).map((url) => [url]);
  warnUncontacted(output, options.tracker ?? []);
  const stateFile = stateFileOf({ ...options, host: undefined, port: options.http });
  const tracker = await withPortHint('--http', () =>
    startTracker({
      port: options.http,
      registeredOnly: true,
      entriesPerAddress: options.peersPerAddress,
      ...(stateFile === null ? {} : { stateFile }),
      log: output.log,
    }),
  );
  let engine: Engine | null = null;
  try {
    engine = await openEngine(output, options, false);
    const { bytes, stamps } = await hashSource(output, signal, source, {});
    const { parseTorrent } = await import('../metainfo/torrent.js');
    const hashed = { bytes, metainfo: parseTorrent(bytes) };
    if (signal.aborted) return 'interrupted';
    const torrent = engine.add(hashed.metainfo, {
      output: dirname(source),
      mode: 'seed',
      // Hashed a moment ago by ourselves; what somebody puts in their place is not served.
      trustData: true,
      hashed: stamps,
      // Ours needs no announce: it lists this seed by itself.
      trackers: extraTiers,
      superSeeding: options.super === true,
    });
    watchTorrent(output, torrent);
    await offer(tracker, hashed, extraTiers, engine.port);
    return await seedUntilInterrupted(context, torrent, () => {
      announceToUser(output, hashed, tracker.port, engine?.port ?? null);
    });
  } finally {
    output.stopProgress();
    await engine?.close();
    await tracker.close();
  }
}

interface HashedSource {
  readonly bytes: Buffer;
  readonly metainfo: Metainfo;
}

/** The tracker knows the torrent and this seed; each client gets a .torrent that names the address it reached us by. */
async function offer(
  tracker: TrackerServer,
  { bytes, metainfo }: HashedSource,
  extraTiers: readonly (readonly string[])[],
  seedPort: number | null,
): Promise<void> {
  const { withTrackers } = await import('../metainfo/torrent.js');
  tracker.register(metainfo.infoHash, seedPort === null ? {} : { seedPort });
  tracker.serveTorrent(`${metainfo.name}.torrent`, (baseUrl) => {
    const announceUrl = `${baseUrl.replace(/\/$/, '')}/announce`;
    return withTrackers(bytes, [[announceUrl], ...extraTiers.map((tier) => [...tier])]);
  });
}

function announceToUser(output: Output, { metainfo }: HashedSource, httpPort: number, port: number | null): void {
  const { name, infoHashHex, geometry } = metainfo;
  const path = torrentUrlPath(basename(name));
  const hosts = localAddresses();
  const host = hostForUrl(hosts[0] ?? LOOPBACK);
  const torrentUrl = `http://${host}:${httpPort}${path}`;
  const loopbackUrl = `http://${LOOPBACK}:${httpPort}${path}`;
  const getCommand = `haul get ${shellWord(torrentUrl)} --output .`;
  const lines = [
    `sharing ${printable(name)}, ${formatBytes(geometry.lengthBytes)}, on port ${port}; Ctrl-C ends it`,
    `info-hash ${infoHashHex}`,
    '',
    `  ${getCommand}`,
    '',
  ];
  if (hosts.length > 1) lines.push(`other addresses of this machine: ${hosts.slice(1).map(hostForUrl).join(', ')}`);
  if (hosts.length > 0) lines.push(`on this machine: haul get ${loopbackUrl} --output DIR`);
  else lines.push('this machine has no address that others could reach: the line works here only');
  output.event(
    'listening',
    {
      what: 'share',
      name,
      infoHash: infoHashHex,
      lengthBytes: geometry.lengthBytes,
      port,
      httpPort,
      torrentUrl,
      loopbackUrl,
      announceUrl: `http://${host}:${httpPort}/announce`,
      getCommand,
    },
    lines.join('\n'),
  );
}
