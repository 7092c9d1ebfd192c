/** `haul depot`: publishes, tracks, seeds and serves artifacts from one folder, until interrupted. */
import { Argument, Command, Option } from 'commander';
import type { AnonymousAccess, Depot, DepotOptions, DepotRequest, DepotStats } from '../depot/api.js';
import type { Task } from './depot-tasks.js';
import { formatBytes, formatSeconds, printable } from './format.js';
import { jsonHelp, PLAIN_PROGRESS, RESOURCE_FIELDS } from './json-help.js';
import {
  addPrivateEngineOptions,
  argument,
  type CommonOptions,
  type EngineCliOptions,
  examples,
  repeated,
} from './options.js';
import type { Output } from './output.js';
import { tidyAtRest } from './rest.js';
import type { Context, Outcome, Runner } from './run.js';
import { slim, tuneSoon } from './tune.js';
import { resourceFields } from './usage.js';
import {
  parseDays,
  parseDuration,
  parseHostName,
  parseListen,
  parseOrigin,
  parsePercent,
  parsePublicUrl,
  parseSize,
} from './values.js';
import { delayOrAborted } from './wait.js';

interface DepotCliOptions extends CommonOptions, EngineCliOptions {
  readonly data?: string;
  readonly from?: string;
  readonly to?: string;
  readonly mirror?: boolean;
  readonly catalogue?: string;
  readonly store?: string;
  readonly storeCache?: number;
  readonly http?: { readonly host: string | null; readonly port: number };
  readonly withhold?: boolean;
  readonly tokens?: string;
  readonly anonymous?: AnonymousAccess;
  readonly publicUrl?: string;
  readonly otherDepot?: readonly string[];
  readonly allowHost?: readonly string[];
  readonly corsOrigin?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly retentionDays?: number;
  readonly idleDays?: number;
  readonly maxStore?: number;
  readonly maxDisk?: number;
  readonly maxArtifact?: number;
  readonly torrentFrom?: number;
  readonly udp?: boolean;
  readonly peers?: string;
  /** Milliseconds. */
  readonly drain: number;
  readonly grace: number;
}

const GRACE_MS = 30_000;
const STATS_MS = 1_000;
const DEFAULT_LISTEN = '127.0.0.1:7070';

/** What may stand behind `depot`; spelt here, as the rest of it is loaded only then. */
const TASKS = ['check', 'rebuild', 'migrate'];

function value<T>(flags: string, description: string, parse: (text: string) => T): Option {
  return new Option(flags, description).argParser(argument(parse));
}

export function depotCommand(run: Runner): Command {
  const command = new Command('depot')
    .description('Keep artifacts: publish and fetch them by HTTP and BitTorrent, until interrupted')
    .addArgument(
      new Argument(
        '[task]',
        'instead: check every blob against its digest (only reads; exit code 1 if anything is bad), rebuild ' +
          'the catalogue, or migrate all that another depot keeps, which may serve meanwhile',
      ).choices(TASKS),
    )
    .option('--data <dir>', 'folder of the depot alone; made when missing')
    .addOption(
      new Option(
        '--catalogue <url>',
        'names in PostgreSQL, postgres://USER@HOST/DATABASE, which several depots may share ' +
          '(default: $SWARMHAUL_CATALOGUE, else LevelDB in the folder)',
      ),
    )
    .option(
      '--store <url>',
      'blobs on S3, s3://BUCKET/PREFIX, with ?endpoint=URL&region=NAME&path-style=true where it is not Amazon ' +
        '(default: in the folder)',
    )
    .addOption(value('--store-cache <size>', 'what of S3 is kept in the folder (default: 16GiB)', parseSize))
    .addOption(
      value(
        '--http <[host:]port>',
        `where HTTP listens (default: ${DEFAULT_LISTEN}); beyond loopback nothing is written without a token`,
        parseListen,
      ),
    )
    .option('--tokens <file>', 'tokens, as haul token create makes them; read again when it changes')
    .addOption(
      new Option(
        '--anonymous <access>',
        'what is permitted without a token (default: all on loopback where there are no tokens, else read)',
      ).choices(['none', 'read', 'all']),
    )
    .addOption(value('--public-url <url>', 'what links begin with, behind a proxy', parsePublicUrl))
    .addOption(
      new Option(
        '--other-depot <url>',
        'a depot with the same catalogue and store: torrents name it, and it is asked before S3 is; may be repeated',
      ).argParser(repeated(parsePublicUrl)),
    )
    .addOption(
      new Option(
        '--allow-host <name>',
        'a name by which clients may reach it, beside addresses and the name of this machine; may be repeated',
      ).argParser(repeated(parseHostName)),
    )
    .addOption(
      new Option('--cors-origin <origin>', 'a site whose pages may read and write; may be repeated').argParser(
        repeated(parseOrigin),
      ),
    )
    .option('--tls-cert <file>', 'certificate (PEM), read again when it changes')
    .option('--tls-key <file>', 'its key (PEM)');
  return addPrivateEngineOptions(addKeepOptions(addTaskOptions(command)), false)
    .addHelpText('after', helpAfter())
    .action((task: Task | undefined, options: DepotCliOptions) =>
      task === undefined
        ? run('depot', options, (context) => depot(context, options), 'service')
        : run('depot', options, async (context) => {
            const { runTask } = await import('./depot-tasks.js');
            const data = await dataOf(options);
            return runTask(task, context, { ...options, data, catalogue: catalogueOf(options) });
          }),
    );
}

/** Examples, and what the lines of --json hold. */
function helpAfter(): string {
  return (
    examples(
      'haul depot --data /srv/depot',
      'curl -T image.raw http://127.0.0.1:7070/artifacts/ci/42/image.raw',
      'haul token create --tokens tokens.json --scope read,write',
      'haul depot --data /srv/depot --tokens tokens.json --http 0.0.0.0:7070',
      'haul depot check --data /srv/depot',
      'haul depot migrate --from /srv/depot --to /srv/new',
      'SWARMHAUL_DEPOT_TOKENS="$SECRET read,write ci/" haul depot --data /srv/depot',
      'haul depot --data /srv/depot --catalogue postgres://haul@db.example.org/depot',
      "haul depot --data /srv/depot --store 's3://artifacts/ci?region=eu-central-1'",
    ) +
    jsonHelp({
      ...PLAIN_PROGRESS,
      listening: 'what url host port peerPort anonymous names blobs blobBytes',
      request: 'method path status sentBytes receivedBytes seconds remote token isAborted problem',
      result: `outcome seconds names blobBytes uploadedBytes ${RESOURCE_FIELDS}`,
      finding: 'kind message name sha256',
      checked: `outcome isGood names blobs lengthBytes counts seconds ${RESOURCE_FIELDS}`,
      migrated:
        'outcome passes blobs names copiedBlobs copiedBytes putNames removedNames isSettled conflicts faults ' +
        `faultCount seconds ${RESOURCE_FIELDS}`,
      rebuilt: `outcome blobs names found conflicts faults old seconds ${RESOURCE_FIELDS}`,
    })
  );
}

/** Of check and migrate. */
function addTaskOptions(command: Command): Command {
  return command
    .option('--from <place>', 'with migrate: the folder of the old depot, or its s3://BUCKET/PREFIX; it is only read')
    .option('--to <dir>', 'with migrate: the same as --data')
    .option('--mirror', 'with migrate: what the old depot does not have goes')
    .option('--withhold', 'with check: what is damaged is not delivered any more until it is published again');
}

/** How long things stay, and how large they may be. */
function addKeepOptions(command: Command): Command {
  return command
    .addOption(
      value(
        '--retention-days <n>',
        'days that an artifact stays whose publisher names none (default: for ever)',
        parseDays,
      ),
    )
    .addOption(value('--idle-days <n>', 'days without a fetch after which an artifact goes', parseDays))
    .addOption(
      value('--max-store <size>', 'above so many bytes the longest unused go, until a tenth less is left', parseSize),
    )
    .addOption(value('--max-disk <percent>', 'the same for what is used of the disk, by anybody', parsePercent))
    .addOption(value('--max-artifact <size>', 'longest artifact that is taken (default: 16TiB)', parseSize))
    .addOption(value('--torrent-from <size>', 'shorter artifacts have no torrent (default: 4MiB)', parseSize))
    .option('--udp', 'the tracker answers by UDP too, on the port of HTTP')
    .option(
      '--peers <url>',
      'Redis or Valkey by which several depots know the same peers: redis://[user:password@]host[:port][/database] ' +
        '(default: $SWARMHAUL_PEERS, which other users of this machine do not see; else each depot for itself)',
    )
    .addOption(
      value(
        '--drain <duration>',
        'how long it goes on when it is stopped, not ready for those who ask, before it takes no more',
        parseDuration,
      ).default(0, '0s'),
    )
    .addOption(
      value('--grace <duration>', 'how long requests under way may go on when it is stopped', parseDuration).default(
        GRACE_MS,
        '30s',
      ),
    );
}

async function dataOf({ data, to }: DepotCliOptions): Promise<string> {
  const folder = data ?? to;
  if (folder !== undefined) return folder;
  const { HaulError } = await import('../errors.js');
  throw new HaulError('BAD_ARGUMENT', '--data: name the folder of the depot', { option: 'data' });
}

async function depot({ output, signal }: Context, options: DepotCliOptions): Promise<Outcome> {
  const { HaulError } = await import('../errors.js');
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined))
    throw new HaulError('BAD_ARGUMENT', '--tls-cert and --tls-key go together', { option: 'tls-cert' });
  const [{ startDepot }, { engineOptions, withPortHint }] = await Promise.all([
    import('../depot/depot.js'),
    import('./engine-door.js'),
  ]);
  const data = await dataOf(options);
  const started = performance.now();
  const running = await withPortHint(
    ({ facts }) => (String(facts.operation).startsWith('depot') ? '--http' : '--port'),
    () => slim(() => startDepot(depotOptions(output, { ...options, data }, engineOptions(output, options)))),
  );
  try {
    await sayWhere(output, running);
    tuneSoon();
    tidyAtRest();
    await delayOrAborted(Number.POSITIVE_INFINITY, signal);
    running.drain();
    if (options.drain > 0) await delayOrAborted(options.drain, new AbortController().signal);
    const { names, blobBytes, uploadedBytes, requests } = await lastStats(running);
    if (requests !== null && requests > 0)
      output.note(`${requests} requests are under way: they have ${formatSeconds(options.grace / 1000)}`);
    const seconds = (performance.now() - started) / 1000;
    const fields = { names, blobBytes, uploadedBytes, ...resourceFields() };
    await running.close(options.grace);
    output.event('result', { outcome: 'stopped', seconds, ...fields }, '');
  } finally {
    await running.close(0);
  }
  return 'interrupted';
}

/** What it keeps its names in may be away: requests that are under way must not wait, or suffer, for the figures. */
async function lastStats(running: Depot): Promise<{ [Name in keyof DepotStats]: DepotStats[Name] | null }> {
  const late = delayOrAborted(STATS_MS, new AbortController().signal).then(() => null);
  const known = await Promise.race([running.stats().catch(() => null), late]);
  return known ?? { names: null, blobs: null, blobBytes: null, requests: null, peers: null, uploadedBytes: null };
}

/** A URL may hold a password, which others of the machine could read in a command line. */
function catalogueOf({ catalogue }: DepotCliOptions): string | undefined {
  return catalogue ?? (process.env.SWARMHAUL_CATALOGUE || undefined);
}

function depotOptions(
  output: Output,
  options: DepotCliOptions & { readonly data: string },
  engine: DepotOptions['engine'],
): DepotOptions {
  const { http, tokens, anonymous, publicUrl, otherDepot, allowHost, corsOrigin, tlsCert, tlsKey } = options;
  const { retentionDays, idleDays, maxStore, maxDisk, maxArtifact, torrentFrom, udp } = options;
  const peers = options.peers ?? process.env.SWARMHAUL_PEERS;
  const lines = process.env.SWARMHAUL_DEPOT_TOKENS;
  const catalogue = catalogueOf(options);
  return {
    data: options.data,
    ...(catalogue === undefined ? {} : { catalogue }),
    ...(options.store === undefined ? {} : { store: options.store }),
    ...(options.storeCache === undefined ? {} : { storeCacheBytes: options.storeCache }),
    ...(http === undefined ? {} : { httpPort: http.port }),
    ...(http?.host == null ? {} : { host: http.host }),
    ...(tokens === undefined ? {} : { tokens }),
    ...(lines === undefined || lines === '' ? {} : { tokenLines: lines }),
    ...(anonymous === undefined ? {} : { anonymous }),
    ...(publicUrl === undefined ? {} : { publicUrl }),
    ...(otherDepot === undefined ? {} : { otherDepots: otherDepot }),
    ...(allowHost === undefined ? {} : { allowHosts: allowHost }),
    ...(corsOrigin === undefined ? {} : { corsOrigins: corsOrigin }),
    ...(tlsCert === undefined || tlsKey === undefined ? {} : { tls: { cert: tlsCert, key: tlsKey } }),
    ...(retentionDays === undefined ? {} : { retentionDays }),
    ...(idleDays === undefined ? {} : { idleDays }),
    ...(maxStore === undefined ? {} : { maxBytes: maxStore }),
    ...(maxDisk === undefined ? {} : { maxDiskPercent: maxDisk }),
    ...(maxArtifact === undefined ? {} : { artifactBytesMax: maxArtifact }),
    ...(torrentFrom === undefined ? {} : { torrentFromBytes: torrentFrom }),
    ...(udp === true ? { udp } : {}),
    ...(peers === undefined || peers === '' ? {} : { peers }),
    ...(engine === undefined ? {} : { engine }),
    log: (level, message, facts) => {
      if (level === 'warn' || level === 'error') output.warn(message, { code: String(facts?.code ?? 'WARNING') });
      else output.log(level, message, facts);
    },
    onRequest: (request) => output.event('request', { ...request }, requestLine(request)),
  };
}

/** `2026-11-28T09:10:11Z 192.0.2.1 PUT /artifacts/ci/42/image.raw 201 received 1.2 GB in 2.4 s by 3f2a` */
function requestLine({
  method,
  path,
  status,
  sentBytes,
  receivedBytes,
  seconds,
  remote,
  token,
  isAborted,
}: DepotRequest): string {
  const time = new Date().toISOString().replace(/\.\d+/, '');
  const from = remote.replace(/^::ffff:/, '');
  const parts = [time, from, printable(method), printable(path, 300), status === 0 ? '-' : String(status)];
  if (receivedBytes > 0) parts.push(`received ${formatBytes(receivedBytes)}`);
  if (sentBytes > 0) parts.push(`sent ${formatBytes(sentBytes)}`);
  parts.push(`in ${formatSeconds(seconds)}`);
  if (token !== null) parts.push(`by ${token}`);
  if (isAborted) parts.push('aborted');
  return parts.join(' ');
}

async function sayWhere(output: Output, running: Depot): Promise<void> {
  const { url, host, port, peerPort, anonymous } = running;
  const { names, blobs, blobBytes } = await running.stats();
  const token = anonymous === 'all' ? '' : '-H "Authorization: Bearer $TOKEN" ';
  const lines = [
    `depot at ${url}, peers on port ${peerPort ?? '-'}; ${names} artifacts, ${formatBytes(blobBytes)}; Ctrl-C ends it`,
    '',
    `  curl ${token}-T image.raw ${url}/artifacts/ci/42/image.raw`,
    `  curl ${anonymous === 'none' ? token : ''}-O ${url}/artifacts/ci/42/image.raw`,
    `  haul get ci/42/image.raw --depot ${url}`,
    '',
  ];
  const fields = { what: 'depot', url, host, port, peerPort, anonymous, names, blobs, blobBytes };
  output.event('listening', fields, lines.join('\n'));
}
