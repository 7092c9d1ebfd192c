/** `haul config`: says whether the config file is right, and what it comes to. */
import { existsSync } from 'node:fs';
import { Argument, Command } from 'commander';
import { HaulError } from '../errors.js';
import { printable } from './format.js';
import { jsonHelp } from './json-help.js';
import { type CommonOptions, examples } from './options.js';
import type { Context, Outcome, Runner } from './run.js';

export function configCommand(run: Runner): Command {
  return new Command('config')
    .description('Check the config file')
    .addArgument(new Argument('<action>', 'what to do').choices(['check']))
    .argument('[file]', 'default: $SWARMHAUL_CONFIG, else haul/config.json in $XDG_CONFIG_HOME or ~/.config')
    .addHelpText(
      'after',
      examples('haul config check', 'haul config check ci/haul.json') +
        jsonHelp({ result: 'outcome path depot hasToken retentionDays' }),
    )
    .action((_action: string, file: string | undefined, options: CommonOptions) =>
      run('config', options, (context) => check(context, file)),
    );
}

async function check({ output }: Context, file: string | undefined): Promise<Outcome> {
  const { configPath, readConfig } = await import('./config-file.js');
  const path = file ?? configPath();
  if (path === null || (file === undefined && !existsSync(path)))
    throw new HaulError('NOT_FOUND', `there is no config file${path === null ? '' : ` ${path}`}`);
  const { depot, token, tokenFile, retentionDays } = readConfig(path);
  const hasToken = token !== undefined || tokenFile !== undefined;
  const named = depot === undefined ? 'not named' : [depot].flat().join(', ');
  const about = `depot ${named}, ${hasToken ? 'with' : 'without'} a token`;
  const fields = { outcome: 'done', path, depot: depot ?? null, hasToken, retentionDays: retentionDays ?? null };
  output.event('result', fields, `${printable(path, 4000)} is right: ${about}`);
  return 'done';
}
