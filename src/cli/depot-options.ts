/** The options by which commands find their depot. Loaded for `--help`: light. */
import { type Command, Option } from 'commander';
import { caOption, repeated } from './options.js';

export interface DepotPlaceOptions {
  readonly agent?: string;
  readonly depot?: readonly string[];
  readonly token?: string;
  readonly ca?: string;
}

export function depotOption(): Option {
  return new Option(
    '--depot <url>',
    'the depot; repeated for several that share what they have (default: $SWARMHAUL_DEPOT, else the config file)',
  ).argParser(repeated((text) => text));
}

export function agentOption(): Option {
  return new Option(
    '--agent <url>',
    'the agent of this host instead (default: $SWARMHAUL_AGENT, else that of the config file)',
  );
}

export function tokenOption(): Option {
  return new Option(
    '--token <token>',
    'token for the depot, or @FILE that holds it (default: $SWARMHAUL_TOKEN, else that of the config file)',
  );
}

/** `--depot`, `--agent`, `--token` and `--ca`. */
export function addDepotOptions(command: Command): Command {
  return command.addOption(depotOption()).addOption(agentOption()).addOption(tokenOption()).addOption(caOption());
}
