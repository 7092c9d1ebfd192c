/**
 * Puts the commands together. Only definitions are loaded here, and of those the one that is called: the start must be
 * quick.
 */
import { Command } from 'commander';
import { VERSION } from '../version.js';
import { addCommonOptions } from './options.js';
import type { Runner } from './run.js';

type MakeCommand = (run: Runner) => Command;

/** In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<MakeCommand>>> = {
  share: async () => (await import('./share.js')).shareCommand,
  get: async () => (await import('./get.js')).getCommand,
  create: async () => (await import('./create.js')).createCommand,
  inspect: async () => (await import('./inspect.js')).inspectCommand,
  verify: async () => (await import('./verify.js')).verifyCommand,
  seed: async () => (await import('./seed.js')).seedCommand,
  depot: async () => (await import('./depot.js')).depotCommand,
  publish: async () => (await import('./publish.js')).publishCommand,
  ls: async () => (await import('./ls.js')).lsCommand,
  rm: async () => (await import('./rm.js')).rmCommand,
  token: async () => (await import('./token.js')).tokenCommand,
  agent: async () => (await import('./agent.js')).agentCommand,
  track: async () => (await import('./track.js')).trackCommand,
  config: async () => (await import('./config.js')).configCommand,
  completion: async () => {
    const { completionCommand } = await import('./completion.js');
    return (run) => completionCommand(run, () => makeProgram(run, undefined));
  },
};
const BENCH = 'bench';

const FOOTER = `
Exit codes: 0 done, 1 failed, 2 usage, 3 and 4 given up (get --timeout, --deadline), 5 not what a hash was given for
(get --info-hash, --sha256), 130 interrupted (Ctrl-C), 129 and 143 hung up or terminated, 141 nobody reads the
output. share, seed, track, depot and agent exit with 0 when they are interrupted or terminated.
Sizes and rates are read as they are shown: 20M is 20 MB, 20,000,000 bytes; 20MiB is 20,971,520.
HAUL_DEBUG=1 in the environment is the same as --verbose.

Share a file, then fetch it elsewhere with the line that is printed:
  $ haul share image.iso
  $ haul get http://192.0.2.7:6969/image.iso.torrent --output /srv/images`;

/**
 * Commander throws a `CommanderError` instead of ending the process.
 * @param called the first word: when it is a command the others are left out
 */
export async function makeProgram(run: Runner, called: string | undefined): Promise<Command> {
  const program = new Command('haul')
    .description('Moves large files to many machines over BitTorrent.')
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpText('after', FOOTER);
  const isKnown = called !== undefined && (called === BENCH || Object.hasOwn(COMMANDS, called));
  for (const [name, load] of Object.entries(COMMANDS)) {
    if (!isKnown || name === called) program.addCommand(addCommonOptions((await load())(run)));
  }
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .showSuggestionAfterError(true)
      .helpOption('-h, --help', 'show this help')
      .configureOutput({ outputError: (text, write) => write(usageText(text, command)) });
  }
  if (isKnown && called !== BENCH) return program;
  const { benchCommand } = await import('./bench.js');
  // Without the common options: all its words go to the suite.
  program.addCommand(benchCommand(run).copyInheritedSettings(program).helpOption(false));
  return program;
}

/** `error: unknown option '--prot'` becomes a line of ours, with the way to the help. */
function usageText(text: string, command: Command): string {
  const words = [command.parent?.name(), command.name()].filter((name) => name !== undefined).join(' ');
  const line = text
    .trim()
    .replace(/^error: /, '')
    .replaceAll('\n', ' ');
  return `haul: ${line}${/[.)?!]$/.test(line) ? '' : '.'} See: ${words} --help\n`;
}
