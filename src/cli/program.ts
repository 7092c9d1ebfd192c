/** Puts the commands together. Only definitions are loaded here: `haul --help` must be quick. */
import { Command } from 'commander';
import { VERSION } from '../version.js';
import { benchCommand } from './bench.js';
import { createCommand } from './create.js';
import { getCommand } from './get.js';
import { inspectCommand } from './inspect.js';
import { addCommonOptions } from './options.js';
import type { Runner } from './run.js';
import { seedCommand } from './seed.js';
import { shareCommand } from './share.js';
import { trackCommand } from './track.js';
import { verifyCommand } from './verify.js';

const FOOTER = `
Exit codes: 0 done, 1 failed, 2 usage, 3 and 4 given up (get --timeout, --deadline), 130 interrupted (Ctrl-C),
129 and 143 hung up or terminated, 141 nobody reads the output.
HAUL_DEBUG=1 in the environment is the same as --verbose.

Share a file, then fetch it elsewhere with the line that is printed:
  $ haul share image.iso
  $ haul get http://192.0.2.7:6969/image.iso.torrent --output /srv/images`;

/** Commander throws a `CommanderError` instead of ending the process. */
export function makeProgram(run: Runner): Command {
  const program = new Command('haul')
    .description('Moves large files to many machines over BitTorrent.')
    .version(VERSION, '--version', 'print the version')
    .addHelpText('after', FOOTER);
  for (const make of [
    shareCommand,
    getCommand,
    createCommand,
    inspectCommand,
    verifyCommand,
    seedCommand,
    trackCommand,
  ]) {
    program.addCommand(addCommonOptions(make(run)));
  }
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .showSuggestionAfterError(true)
      .helpOption('--help', 'show this help')
      .configureOutput({ outputError: (text, write) => write(usageText(text, command)) });
  }
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
