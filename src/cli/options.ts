/** Pieces of option definitions that several commands share. Loaded for `--help`, so it must stay light. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { TRACKER_LIMITS } from '../tracker/limits.js';
import { parsePeerList } from './peer-lists.js';
import {
  type HostPort,
  parseAdvertise,
  parseConnections,
  parseGlob,
  parseHostPort,
  parseMemory,
  parsePort,
  parseRate,
  parseTrackerUrl,
  parseZone,
  ValueError,
} from './values.js';

export interface CommonOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  /** Milliseconds between progress reports; hidden, for tests and the demo. */
  readonly progressInterval?: number;
  /** What is written to standard output is a file: words go to standard error. */
  readonly stdout?: string;
}

/** Wraps a parser of `values.ts` so that its refusal is a usage error of commander. */
export function argument<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof ValueError) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
}

/** For options that may be given more than once. */
export function repeated<T>(parse: (text: string) => T): (text: string, previous: T[] | undefined) => T[] {
  const one = argument(parse);
  return (text, previous) => [...(previous ?? []), one(text)];
}

export function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON object per line on standard output, for machines')
    .option('--verbose', 'log what happens, and stack traces of errors, to standard error')
    .option('-q, --quiet', 'neither progress nor remarks: results, warnings and errors only')
    .addOption(
      new Option('--progress-interval <ms>', 'time between progress reports')
        .argParser(argument(parseInterval))
        .hideHelp(),
    );
}

/** What commands that run an engine share. */
export interface EngineCliOptions {
  readonly port?: number;
  readonly host?: string;
  readonly downloadLimit?: number;
  readonly uploadLimit?: number;
  readonly zone?: string;
  readonly ca?: string;
  readonly maxPerAddress?: number;
  readonly storage?: 'mapped' | 'positional';
  readonly memory?: number;
  readonly dht?: boolean;
  readonly nat?: boolean;
  readonly lsd?: boolean;
  /** Entries, those of each time the option was given. */
  readonly allowPeers?: readonly (readonly string[])[];
  readonly denyPeers?: readonly (readonly string[])[];
  /** False: `--no-pex`. */
  readonly pex?: boolean;
  /** Implies `dht`. */
  readonly dhtNode?: readonly HostPort[];
  /** What trackers are told; of `haul seed`. */
  readonly announceAs?: { readonly host: string; readonly port?: number };
}

const HOST_HELP = 'local address, or name of an interface, for all connections in and out (default: all)';
const STORAGE_KINDS = ['mapped', 'positional'];

/**
 * `--port`, the rate limits, `--storage`, `--memory`, `--max-per-address`, the lists of peers, `--nat`, `--zone`, and
 * all that finds peers; `--download-limit` only where something is downloaded.
 */
export function addEngineOptions(command: Command, downloads: boolean): Command {
  return addDiscoveryOptions(addPrivateEngineOptions(command, downloads).addOption(caOption()));
}

/** The same of an engine that has private torrents of our own depot alone: nothing but its tracker finds peers. */
export function addPrivateEngineOptions(command: Command, downloads: boolean): Command {
  command.addOption(portOption('port for incoming peers, 0 for any (default: first free of 6881-6889)'));
  if (downloads)
    command.addOption(
      rateOption('--download-limit <rate>', 'most bytes per second down, e.g. 50M (50 MB/s) or 1.5MiB'),
    );
  command.addOption(rateOption('--upload-limit <rate>', 'most bytes per second up'));
  command.addOption(
    new Option(
      '--storage <kind>',
      'mapped memory, or reads and writes where others may cut the files (default: by file system)',
    ).choices(STORAGE_KINDS),
  );
  command.addOption(
    new Option(
      '--memory <size>',
      'memory for pieces and for what is served, 16MiB or more (default: 256MiB, less in a small container)',
    ).argParser(argument(parseMemory)),
  );
  command.addOption(
    new Option(
      '--max-per-address <n>',
      'connections of one torrent that one address keeps when all places are taken (default: an eighth of them)',
    ).argParser(argument(parseConnections)),
  );
  command.addOption(
    new Option(
      '--allow-peers <file>',
      'only these may be peers: an address, 10.0.0.0/8, A-B, or a file of them, one a line; may be repeated',
    ).argParser(repeated(parsePeerList)),
  );
  command.addOption(
    new Option(
      '--deny-peers <file>',
      'these may not be peers, also those that are named or allowed; as --allow-peers; may be repeated',
    ).argParser(repeated(parsePeerList)),
  );
  command.addOption(
    new Option(
      '--nat',
      'ask the router to let peers in, by NAT-PMP or UPnP, as long as the command runs (default: off)',
    ),
  );
  return command.addOption(
    new Option(
      '--zone <name>',
      'where this host is, e.g. rack7 or eu-1/rack7; our tracker gives peers of its own zone first',
    ).argParser(argument(parseZone)),
  );
}

function addDiscoveryOptions(command: Command): Command {
  command.addOption(
    new Option('--dht', 'look for peers, and announce, in the DHT too; never for private torrents (default: off)'),
  );
  command.addOption(
    new Option(
      '--dht-node <host:port>',
      'a node of the DHT to begin with, besides those of the last time; implies --dht; may be repeated',
    ).argParser(repeated(parseHostPort)),
  );
  command.addOption(
    new Option(
      '--lsd',
      'look for peers, and announce, on the local network too (multicast); never for private torrents (default: off)',
    ),
  );
  command.addOption(
    new Option('--no-pex', 'tell peers of no others, and hear of none by them (default: on but in private torrents)'),
  );
  return command;
}

export function rateOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(argument(parseRate));
}

/** @param description of a command that runs no engine */
export function hostOption(description = HOST_HELP): Option {
  return new Option('--host <address>', description);
}

export function caOption(): Option {
  return new Option('--ca <file>', 'certificates (PEM) to trust besides the usual ones, for https');
}

/** For `haul share` and `haul track`. */
export function advertiseOption(): Option {
  return new Option(
    '--advertise <host>',
    'what others are told of this machine, behind NAT or a proxy: HOST, HOST:PORT of HTTP, or an http(s) URL',
  ).argParser(argument(parseAdvertise));
}

/** BEP 16; for `haul seed` and `haul share`. */
export function superOption(): Option {
  return new Option(
    '--super',
    'super-seed: reveal pieces one at a time until every one is in the swarm, to send each once',
  );
}

/** For `haul create` and `haul share`. */
export function excludeOption(): Option {
  return new Option(
    '--exclude <glob>',
    "leave these files and folders out, e.g. '*.tmp' (in any folder) or 'docs/draft/**'; may be repeated",
  ).argParser(repeated(parseGlob));
}

export function trackerOption(): Option {
  return new Option('--tracker <url>', 'announce there too; may be repeated, each is a further tier').argParser(
    repeated(parseTrackerUrl),
  );
}

export function portOption(description: string, flags = '--port <n>'): Option {
  return new Option(flags, description).argParser(argument(parsePort));
}

/** For `haul track` and `haul share`. */
export function entriesOption(): Option {
  return new Option(
    '--peers-per-address <n>',
    'peers of one address (IPv6: /64) that the tracker keeps when it is full; a /24 or /48 keeps four times as many',
  )
    .argParser(argument(parseCount))
    .default(TRACKER_LIMITS.entriesPerAddress);
}

function parseCount(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new ValueError('A number of peers is 1 or more.');
  return count;
}

/** A help text of examples, one `$ command` line each. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;
}

function parseInterval(text: string): number {
  const ms = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (ms < 1) throw new ValueError('An interval is a number of milliseconds, 1 or more.');
  return ms;
}
