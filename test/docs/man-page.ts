/** man/haul.1, made of the definitions that `--help` is made of. */
import type { Command } from 'commander';
import { makeProgram } from '../../src/cli/program.js';
import { VERSION } from '../../src/version.js';

const BENCH = 'bench';

/** Text as it is: nothing in it is a request, and a hyphen that is typed is one that can be copied. */
function roff(text: string): string {
  const code = (character: string): string => character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/gm, '\\&$&');
  return escaped.replace(/[^\n -~]/gu, (character) => `\\[u${code(character)}]`);
}

function asItIs(text: string): string {
  return text === '' ? '' : `.nf\n${roff(text)}\n.fi\n`;
}

/** What a command adds behind its options: examples, rules, the lines of --json. */
function notesOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text.slice(command.helpInformation().length).trim();
}

function rows(list: readonly { readonly term: string; readonly description: string }[]): string {
  return list.map(({ term, description }) => `.TP\n.B ${roff(term)}\n${roff(description)}\n`).join('');
}

function section(command: Command): string {
  const help = command.createHelp();
  const title = `.SS haul ${roff(`${command.name()} ${command.usage()}`)}\n${roff(command.description())}\n`;
  if (command.name() === BENCH) return `${title}.PP\nhaul bench \\-\\-help lists them.\n`;
  const words = command.registeredArguments.map((word) => ({ term: word.name(), description: word.description }));
  const options = help.visibleOptions(command).map((option) => ({
    term: option.flags,
    description: help.optionDescription(option),
  }));
  const notes = notesOf(command);
  return `${title}${rows([...words, ...options])}${notes === '' ? '' : `.PP\n${asItIs(notes)}`}`;
}

/** The whole page. */
export async function manPage(): Promise<string> {
  const program = await makeProgram(async () => {}, undefined);
  return `.\\" Made from the help of haul by \`npm run docs:pages\`.
.TH HAUL 1 "" "swarmhaul ${VERSION}" "User Commands"
.nh
.ad l
.SH NAME
haul \\- ${roff(program.description().replace(/\.$/, ''))}
.SH SYNOPSIS
.B haul
.I command
[options]
.SH DESCRIPTION
${asItIs(notesOf(program))}.SH COMMANDS
${program.commands.map(section).join('')}`;
}
