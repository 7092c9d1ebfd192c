/** `haul rm`: removes names from a depot. */
import { Command } from 'commander';
import { addDepotOptions, type DepotPlaceOptions } from './depot-options.js';
import { printable } from './format.js';
import { jsonHelp } from './json-help.js';
import { type CommonOptions, examples } from './options.js';
import type { Context, Outcome, Runner } from './run.js';

/** Each waits for the disk of the depot, which syncs several at once as one. */
const AT_ONCE = 8;

interface RmOptions extends CommonOptions, DepotPlaceOptions {
  readonly force?: boolean;
}

export function rmCommand(run: Runner): Command {
  const command = new Command('rm')
    .description('Remove artifacts from a depot')
    .argument('<names...>', 'names of artifacts; one that ends with a slash is all that is below it')
    .option('-f, --force', 'names that are not there are no failure');
  return addDepotOptions(command)
    .addHelpText(
      'after',
      examples('haul rm ci/42/image.raw --depot http://depot:7070', 'haul rm ci/42/') +
        jsonHelp({ removed: 'name', result: 'outcome removed' }),
    )
    .action((names: string[], options: RmOptions) => run('rm', options, (context) => rm(context, names, options)));
}

async function rm({ output, signal }: Context, names: readonly string[], options: RmOptions): Promise<Outcome> {
  const [{ needPlace }, { DepotClient }, { HaulError }] = await Promise.all([
    import('./agent-place.js'),
    import('./depot-client.js'),
    import('../errors.js'),
  ]);
  const client = await DepotClient.open(await needPlace(options, output), signal);
  let removed = 0;
  let missing = 0;
  const removeOne = async (name: string): Promise<void> => {
    try {
      await client.text('DELETE', DepotClient.path(name));
      removed++;
      output.event('removed', { name }, `removed ${printable(name, 2000)}`);
    } catch (error) {
      if (!(error instanceof HaulError) || error.code !== 'NOT_FOUND') throw error;
      missing++;
      if (options.force !== true) output.warn(`there is no artifact ${name}`, { code: 'NOT_FOUND' });
    }
  };
  try {
    for (const name of names) {
      if (!name.endsWith('/')) await removeOne(name);
      else {
        const below: string[] = [];
        for await (const artifact of client.list(name.replace(/^\/+/, ''))) below.push(artifact.name);
        if (below.length === 0 && options.force !== true)
          output.warn(`there is nothing below ${name}`, { code: 'NOT_FOUND' });
        if (below.length === 0) missing++;
        const left = below.reverse();
        const worker = async (): Promise<void> => {
          for (let each = left.pop(); each !== undefined; each = left.pop()) await removeOne(each);
        };
        await Promise.all(Array.from({ length: AT_ONCE }, worker));
      }
    }
  } finally {
    client.close();
  }
  const isDone = missing === 0 || options.force === true;
  output.event('result', { outcome: isDone ? 'done' : 'failed', removed }, '');
  return isDone ? 'done' : 'failed';
}
