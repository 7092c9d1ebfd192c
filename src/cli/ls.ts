/** `haul ls`: what a depot holds. */
import { Command } from 'commander';
import { addDepotOptions, type DepotPlaceOptions } from './depot-options.js';
import { formatBytes, printable } from './format.js';
import { jsonHelp } from './json-help.js';
import { type CommonOptions, examples } from './options.js';
import type { Context, Outcome, Runner } from './run.js';

interface LsOptions extends CommonOptions, DepotPlaceOptions {
  readonly expiring?: boolean;
  readonly pattern?: string;
}

export const ARTIFACT_FIELDS =
  'name sha256 lengthBytes contentType created expires isPinned infoHash url torrentUrl magnet';

export function lsCommand(run: Runner): Command {
  const command = new Command('ls')
    .description('List the artifacts of a depot')
    .argument('[prefix]', 'only those below it', '')
    .option('--pattern <glob>', 'only names that match below the prefix: * and ? within a part, ** across parts')
    .option('--expiring', 'those that go by age, the next one first');
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
  for await (const artifact of client.list(prefix.replace(/^\/+/, ''), query)) {
    const { name, lengthBytes, expires, isPinned } = artifact;
    artifacts++;
    totalBytes += lengthBytes;
    const until = isPinned ? 'pinned' : expires === null ? '-' : expires.slice(0, 16).replace('T', ' ');
    output.event(
      'artifact',
      { ...artifact },
      `${formatBytes(lengthBytes).padStart(10)}  ${until.padEnd(16)}  ${printable(name, 2000)}`,
    );
  }
  client.close();
  output.event('result', { outcome: 'done', artifacts, totalBytes }, '');
  return 'done';
}
