/** `haul agent`: fetches artifacts for the jobs of one host, keeps them, gives them back; until interrupted. */
import { Command, Option } from 'commander';
import type { Agent, AgentOptions, AgentReceipt, AgentRequest } from '../depot/agent/api.js';
import { type DepotPlaceOptions, depotOption, tokenOption } from './depot-options.js';
import { formatBytes, formatSeconds, printable } from './format.js';
import { jsonHelp, RESOURCE_FIELDS } from './json-help.js';
import {
  addPrivateEngineOptions,
  argument,
  type CommonOptions,
  caOption,
  type EngineCliOptions,
  examples,
  repeated,
} from './options.js';
import type { Output } from './output.js';
import { tidyAtRest } from './rest.js';
import type { Context, Outcome, Runner } from './run.js';
import { slim, tuneSoon } from './tune.js';
import { resourceFields } from './usage.js';
import { parseDuration, parseHostName, parseListen, parseSize } from './values.js';
import { delayOrAborted } from './wait.js';

interface AgentCliOptions extends CommonOptions, EngineCliOptions, DepotPlaceOptions {
  readonly cache: string;
  readonly http?: { readonly host: string | null; readonly port: number };
  readonly cacheBytes?: number;
  readonly allowHost?: readonly string[];
  /** Milliseconds. */
  readonly grace: number;
}

const GRACE_MS = 5_000;
const DEFAULT_LISTEN = '127.0.0.1:7071';

export function agentCommand(run: Runner): Command {
  const value = <T>(flags: string, description: string, parse: (text: string) => T): Option =>
    new Option(flags, description).argParser(argument(parse));
  const command = new Command('agent')
    .description('Fetch artifacts of a depot for the jobs of this host, through the swarm and one cache')
    .addOption(depotOption())
    .requiredOption('--cache <dir>', 'folder of the agent alone; made when missing')
    .addOption(
      value(
        '--http <[host:]port>',
        `where HTTP listens (default: ${DEFAULT_LISTEN}); whoever reaches it reads what the token may read`,
        parseListen,
      ),
    )
    .addOption(value('--cache-bytes <size>', 'what the cache may hold (default: half of the disk)', parseSize))
    .addOption(tokenOption())
    .addOption(
      new Option(
        '--allow-host <name>',
        'a name by which clients may reach it, beside addresses and the name of this machine; may be repeated',
      ).argParser(repeated(parseHostName)),
    )
    .addOption(
      value('--grace <duration>', 'how long answers under way may go on when it is stopped', parseDuration).default(
        GRACE_MS,
        '5s',
      ),
    );
  return addPrivateEngineOptions(command, true)
    .addOption(caOption())
    .addHelpText(
      'after',
      examples(
        'haul agent --depot http://depot:7070 --cache /var/cache/haul',
        'curl -O http://127.0.0.1:7071/artifacts/ci/42/image.raw',
        'haul agent --depot http://depot-1:7070 --depot http://depot-2:7070 --cache /var/cache/haul',
        'haul agent --depot https://depot:7070 --cache /var/cache/haul --token @token --zone eu-1/rack7',
      ) +
        jsonHelp({
          listening: 'what url host port peerPort depot depots blobs usedBytes cacheBytes',
          request: 'method path status sentBytes receivedBytes seconds remote isAborted',
          receipt:
            'id name sha256 lengthBytes startedMs firstByteSeconds seconds sentBytes peerBytes webSeedBytes ' +
            'localBytes outcome isStale',
          result: `outcome seconds sentBytes peerBytes webSeedBytes uploadedBytes ${RESOURCE_FIELDS}`,
        }),
    )
    .action((options: AgentCliOptions) => run('agent', options, (context) => agent(context, options), 'service'));
}

async function agent({ output, signal }: Context, options: AgentCliOptions): Promise<Outcome> {
  const [{ startAgent }, { engineOptions, withPortHint }] = await Promise.all([
    import('../depot/agent/agent.js'),
    import('./engine-door.js'),
  ]);
  const started = performance.now();
  const given = await agentOptions(output, options, engineOptions(output, options));
  const running = await withPortHint(
    ({ facts }) => (String(facts.operation).startsWith('depot') ? '--http' : '--port'),
    () => slim(() => startAgent(given)),
  );
  try {
    sayWhere(output, running);
    tuneSoon();
    tidyAtRest();
    await delayOrAborted(Number.POSITIVE_INFINITY, signal);
    const { sentBytes, peerBytes, webSeedBytes, uploadedBytes } = running.stats();
    const seconds = (performance.now() - started) / 1000;
    await running.close(options.grace);
    const fields = { sentBytes, peerBytes, webSeedBytes, uploadedBytes, ...resourceFields() };
    output.event('result', { outcome: 'stopped', seconds, ...fields }, '');
  } finally {
    await running.close(0);
  }
  return 'interrupted';
}

async function agentOptions(
  output: Output,
  options: AgentCliOptions,
  engine: NonNullable<AgentOptions['engine']>,
): Promise<AgentOptions> {
  const { http, cache, cacheBytes, allowHost } = options;
  const { needDepot } = await import('./depot-place.js');
  const { urls: depot, token, ca } = await needDepot(options);
  return {
    depot,
    cache,
    ...(token === null ? {} : { token }),
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
    ...(http === undefined ? {} : { httpPort: http.port }),
    ...(http?.host == null ? {} : { host: http.host }),
    ...(allowHost === undefined ? {} : { allowHosts: allowHost }),
    engine: ca === null ? engine : { ...engine, ca: [ca] },
    log: (level, message, facts) => {
      if (level === 'warn' || level === 'error') output.warn(message, { code: String(facts?.code ?? 'WARNING') });
      else output.log(level, message, facts);
    },
    // In words a receipt says all; what has none was no answer with bytes.
    onRequest: (request) => output.event('request', { ...request }, request.sentBytes > 0 ? '' : requestLine(request)),
    onReceipt: (receipt) => output.event('receipt', { ...receipt }, receiptLine(receipt)),
  };
}

function time(): string {
  return new Date().toISOString().replace(/\.\d+/, '');
}

function requestLine({ method, path, status, seconds }: AgentRequest): string {
  const word = status === 0 ? '-' : String(status);
  return [time(), printable(method), printable(path, 300), word, `in ${formatSeconds(seconds)}`].join(' ');
}

/** `2026-11-28T09:10:11Z artifacts/ci/42/image.raw 1.2 GB in 2.4 s: 900 MB of peers, 300 MB of the depot` */
function receiptLine(receipt: AgentReceipt): string {
  const { name, sentBytes, peerBytes, webSeedBytes, localBytes, seconds, outcome, isStale } = receipt;
  const from = [
    ...(peerBytes > 0 ? [`${formatBytes(peerBytes)} of peers`] : []),
    ...(webSeedBytes > 0 ? [`${formatBytes(webSeedBytes)} of the depot`] : []),
    ...(localBytes > 0 ? [`${formatBytes(localBytes)} of the cache`] : []),
  ].join(', ');
  const how = outcome === 'done' ? '' : outcome === 'gone' ? '; the client has left' : '; failed';
  const stale = isStale ? '; the depot is away' : '';
  const shown = `${time()} ${printable(name, 300)} ${formatBytes(sentBytes)} in ${formatSeconds(seconds)}`;
  return `${shown}${from === '' ? '' : `: ${from}`}${how}${stale}`;
}

function sayWhere(output: Output, running: Agent): void {
  const { url, host, port, peerPort } = running;
  const { blobs, usedBytes, cacheBytes, depots: known } = running.stats();
  const depots = known.map((one) => one.url);
  const [depot] = depots;
  const who = printable(depots.join(', '), 2000);
  const held = `${formatBytes(usedBytes)} of ${formatBytes(cacheBytes)} cached`;
  const lines = [
    `agent at ${url} for ${who}, peers on port ${peerPort ?? '-'}; ${held}; Ctrl-C ends it`,
    '',
    `  curl -O ${url}/artifacts/ci/42/image.raw`,
    '',
  ];
  const fields = { what: 'agent', url, host, port, peerPort, depot, depots, blobs, usedBytes, cacheBytes };
  output.event('listening', fields, lines.join('\n'));
}
