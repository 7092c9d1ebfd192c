/** What `--p2p` adds to `haul publish`: its options, and what seeds. Loaded for `--help`: light. */
import { type Command, Option } from 'commander';
import type { DepotClient } from './depot-client.js';
import type { DepotPlace } from './depot-place.js';
import { argument, portOption, rateOption } from './options.js';
import type { Output } from './output.js';
import type { Giving, GivingOptions } from './publish-p2p.js';
import type { Context, Outcome } from './run.js';
import { parseTimeLimit } from './values.js';

export interface GiveOptions {
  readonly p2p?: boolean;
  readonly archive?: boolean;
  readonly timeout?: number;
  readonly port?: number;
  readonly uploadLimit?: number;
  readonly ca?: string;
}

export function addPeerOptions(command: Command): Command {
  return command
    .option('--p2p', 'seed the files to the depot instead of sending them; goes on where it was interrupted')
    .addOption(
      new Option(
        '--timeout <duration>',
        'with --p2p, give up when nothing came to the depot for so long (default: never on a terminal, else 10m)',
      ).argParser(argument(parseTimeLimit)),
    )
    .addOption(portOption('with --p2p, port for peers, 0 for any (default: first free of 6881-6889)'))
    .addOption(rateOption('--upload-limit <rate>', 'with --p2p, most bytes per second up'));
}

/** What `--timeout` makes of it. */
export function gaveUp({ output }: Context, error: unknown): Outcome {
  if ((error as { facts?: { gaveUp?: unknown } }).facts?.gaveUp !== 'timeout') throw error;
  output.stopProgress();
  output.error(error);
  return 'timeout';
}

/** @throws HaulError BAD_ARGUMENT */
export async function checkGiving({ archive }: GiveOptions, { isAgent }: DepotPlace): Promise<void> {
  if (archive !== true && !isAgent) return;
  const { HaulError } = await import('../errors.js');
  const why = isAgent ? 'to the depot itself: name it with --depot' : 'files as they are, without --archive';
  throw new HaulError('BAD_ARGUMENT', `--p2p gives ${why}`, { option: 'p2p' });
}

export async function openGiving(
  output: Output,
  client: DepotClient,
  options: GiveOptions,
  rules: Pick<GivingOptions, 'retentionDays' | 'replicas' | 'overwrite' | 'signal'>,
): Promise<Giving> {
  const [{ Giving: Opened }, { UNATTENDED_TIMEOUT_MS }] = await Promise.all([
    import('./publish-p2p.js'),
    import('./patience.js'),
  ]);
  // An upload by peers is of the depot at which it began.
  client.stay();
  const { port, uploadLimit, ca } = options;
  const timeoutMs = options.timeout ?? (output.isTerminal ? Number.POSITIVE_INFINITY : UNATTENDED_TIMEOUT_MS);
  const given = { port, uploadLimit, ca };
  const engine = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return new Opened({ output, client, engine, timeoutMs, ...rules });
}
