/** The commands and their options as a table, read off the definitions that `--help` is made of. */
import type { Argument, Command, Option } from 'commander';

/** What a value is, for those who complete it. */
export type ValueKind = 'file' | 'folder' | 'torrent' | 'other';

export interface Value {
  /** As the help names it, without brackets. */
  readonly name: string;
  readonly kind: ValueKind;
  /** The only ones there are; empty: any. */
  readonly choices: readonly string[];
}

export interface OptionRow {
  /** `-o` and `--output`: one or both. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Null: it takes none. */
  readonly value: Value | null;
}

export interface CommandRow {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionRow[];
  /** Of the words that are no options; null: there are none. */
  readonly argument: Value | null;
}

export interface CommandTable {
  /** Of haul itself. */
  readonly options: readonly OptionRow[];
  readonly commands: readonly CommandRow[];
}

const KINDS: Readonly<Record<string, ValueKind>> = {
  file: 'file',
  path: 'file',
  paths: 'file',
  dir: 'folder',
  torrent: 'torrent',
};

export function tableOf(program: Command): CommandTable {
  return { options: optionsOf(program), commands: program.commands.map(commandOf) };
}

function commandOf(command: Command): CommandRow {
  const argument = command.registeredArguments[0];
  return {
    name: command.name(),
    description: command.description(),
    options: optionsOf(command),
    argument: argument === undefined ? null : describeValue(argument.name(), argument),
  };
}

/** As the help lists them: without hidden ones. */
function optionsOf(command: Command): OptionRow[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined && flag !== null),
      description: option.description,
      value: option.required || option.optional ? describeValue(placeholder(option), option) : null,
    }));
}

function placeholder({ flags }: Option): string {
  return /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? '';
}

function describeValue(name: string, { argChoices }: Pick<Option | Argument, 'argChoices'>): Value {
  return { name, kind: KINDS[name.replace(/\.\.\.$/, '')] ?? 'other', choices: argChoices ?? [] };
}
