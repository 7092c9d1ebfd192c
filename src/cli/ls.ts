/** `haul ls`: what a depot holds. */
import { Command } from 'commander';
import type { DepotArtifact } from './depot-client.js';
import { addDepotOptions, type DepotPlaceOptions } from './depot-options.js';
import { formatBytes, printable } from './format.js';
import { jsonHelp } from './json-help.js';
import { type CommonOptions, examples } from './options.js';
import type { Context, Outcome, Runner } from './run.js';

/** What is in the way of one that should go. */
const WAITS = { 'in use': 'in use', replicas: 'too few copies', clock: 'the clock is doubted' } as const;

interface LsOptions extends CommonOptions, DepotPlaceOptions {
  readonly expiring?: boolean;
  readonly pattern?: string;
}

export const ARTIFACT_FIELDS =
  'name sha256 lengthBytes contentType created expires isPinned infoHash url torrentUrl magnet next';

export function lsCommand(run: Runner): Command {
  const command = new Command('ls')
    .description('List the artifacts of a depot')
    .argument('[prefix]', 'only those below it, or the one that is called so', '')
    .option('--pattern <glob>', 'only names that match below the prefix: * and ? within a part, ** across parts')
    .option('--expiring', 'what goes next by itself, with the reason, the first first');
  return addDepotOptions(command)
    .addHelpText(
      'after',
      examples('haul ls --depot http://depot:7070', "haul ls ci/42 --pattern '**/*.raw'", 'haul ls --expiring') +
        jsonHelp({ artifact: ARTIFACT_FIELDS, result: 'outcome artifacts totalBytes' }),
    )
    .action((prefix: string, options: LsOptions) => run('ls', options, (context) => ls(context, prefix, options)));
}

async function ls({ output, signal }: Context, prefix: string, options: LsOptions): Promise<Outcome> {
  const [{ needPlace }, { DepotClient }] = await Promise.all([import('./agent-place.js'), import('./depot-client.js')]);
  const client = await DepotClient.open(await needPlace(options, output), signal);
  const query = {
    ...(options.pattern === undefined ? {} : { pattern: options.pattern }),
    ...(options.expiring === true ? { order: 'expiring' } : {}),
  };
  let artifacts = 0;
  let totalBytes = 0;
  const tell = (artifact: DepotArtifact): void => {
    const { name, lengthBytes } = artifact;
    artifacts++;
    totalBytes += lengthBytes;
    output.event(
      'artifact',
      { ...artifact },
      `${formatBytes(lengthBytes).padStart(10)}  ${goesText(artifact)}  ${printable(name, 2000)}`,
    );
  };
  const below = prefix.replace(/^\/+/, '');
  for await (const artifact of client.list(below, query)) tell(artifact);
  // Its own name was meant.
  const isName = artifacts === 0 && Object.keys(query).length === 0 && below !== '' && !below.endsWith('/');
  const one = isName ? await client.find(below) : null;
  if (one !== null) tell(one);
  client.close();
  output.event('result', { outcome: 'done', artifacts, totalBytes }, '');
  return 'done';
}

/** When it goes, and why where that was asked for. */
function goesText({ expires, isPinned, next }: DepotArtifact): string {
  const minutes = (time: string | null) => (time === null ? '-' : time.slice(0, 16).replace('T', ' ')).padEnd(16);
  if (next === undefined) return isPinned ? 'pinned'.padEnd(16) : minutes(expires);
  const why = next.obstacle === null ? next.reason : `${next.reason}, but ${WAITS[next.obstacle]}`;
  return `${minutes(next.at)}  ${why.padEnd(9)}`;
}
