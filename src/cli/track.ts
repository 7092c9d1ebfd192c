/** `haul track`: a tracker alone, for any torrent, until interrupted. */
import { Command } from 'commander';
import type { Advertised } from '../net/advertised.js';
import { jsonHelp, RESOURCE_FIELDS } from './json-help.js';
import { advertiseOption, type CommonOptions, entriesOption, examples, hostOption, portOption } from './options.js';
import type { Context, Outcome, Runner } from './run.js';
import { stateFileOf, stateOptions } from './state-file.js';
import { tuneSoon } from './tune.js';
import { resourceFields } from './usage.js';
import { delayOrAborted } from './wait.js';

interface TrackOptions extends CommonOptions {
  readonly host?: string;
  readonly advertise?: Advertised;
  readonly port: number;
  readonly peersPerAddress: number;
  readonly state?: string | boolean;
}

/** The port trackers have used since the first ones. */
const DEFAULT_PORT = 6969;

export function trackCommand(run: Runner): Command {
  const command = new Command('track')
    .description('Run a tracker alone, until interrupted')
    .addOption(hostOption())
    .addOption(advertiseOption())
    .addOption(portOption('port of the tracker, 0 for any').default(DEFAULT_PORT))
    .addOption(entriesOption());
  for (const option of stateOptions()) command.addOption(option);
  return command
    .addHelpText(
      'after',
      examples('haul track', 'haul track --host 127.0.0.1 --port 0 --json') +
        jsonHelp({ listening: 'what host port announceUrl', result: `outcome ${RESOURCE_FIELDS}` }),
    )
    .action((options: TrackOptions) => run('track', options, (context) => track(context, options), 'service'));
}

async function track({ output, signal }: Context, options: TrackOptions): Promise<Outcome> {
  const [{ startTracker }, { withPortHint }, { hostForUrl, localAddress }, { advertisedUrl }] = await Promise.all([
    import('../library/tracker.js'),
    import('./engine-door.js'),
    import('../net/own-addresses.js'),
    import('../net/advertised.js'),
  ]);
  const stateFile = stateFileOf(options);
  const tracker = await withPortHint('--port', () =>
    startTracker({
      port: options.port,
      entriesPerAddress: options.peersPerAddress,
      log: output.log,
      ...(options.host === undefined ? {} : { host: options.host }),
      ...(stateFile === null ? {} : { stateFile }),
    }),
  );
  try {
    const base =
      options.advertise === undefined
        ? `http://${hostForUrl(options.host ?? localAddress())}:${tracker.port}`
        : advertisedUrl(options.advertise, tracker.port);
    const announceUrl = `${base}/announce`;
    output.event(
      'listening',
      { what: 'tracker', host: tracker.host, port: tracker.port, announceUrl },
      `tracker at ${announceUrl}; Ctrl-C ends it`,
    );
    tuneSoon();
    await delayOrAborted(Number.POSITIVE_INFINITY, signal);
  } finally {
    await tracker.close();
  }
  output.event('result', { outcome: 'stopped', ...resourceFields() }, '');
  return 'interrupted';
}
