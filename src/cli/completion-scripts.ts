/** The scripts that complete our words in bash, zsh and fish, made of the table of commands. Pure. */
import type { CommandRow, CommandTable, OptionRow, Value } from './command-table.js';

const HEAD = (shell: string): string => `# Completion of haul in ${shell}, made by: haul completion ${shell}`;

export function completionScript(shell: 'bash' | 'zsh' | 'fish', table: CommandTable): string {
  return { bash, zsh, fish }[shell](table);
}

function flagsOf(options: readonly OptionRow[]): string[] {
  return options.flatMap(({ flags }) => flags);
}

/** The first sentence, for a list. */
function brief(text: string): string {
  return text.split(/[:;(]/, 1)[0]!.trim();
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// ---- bash ----

function bash({ options, commands }: CommandTable): string {
  const first = [...commands.map(({ name }) => name), ...flagsOf(options)];
  const values = commands.flatMap(({ name, options: own }) =>
    own.flatMap(({ flags, value }) => {
      if (value === null) return [];
      return [`    ${flags.map((flag) => `${name}:${flag}`).join('|')}) ${bashValue(value)}; return ;;`];
    }),
  );
  const words = commands.map(({ name, options: own, argument }) => {
    const rest = argument === null ? ':' : bashValue(argument);
    return `    ${name}) if [[ $cur == -* ]]; then _haul_words ${quoted(flagsOf(own).join(' '))}; else ${rest}; fi ;;`;
  });
  return `${HEAD('bash')}
_haul_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_haul_paths() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen "$@" -- "$cur"); }
_haul_torrents() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -d -- "$cur"; compgen -f -X '!*.torrent' -- "$cur")
}
_haul() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= at
  COMPREPLY=()
  # --option=value comes as three words.
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    if [[ \${COMP_WORDS[at]} != -* ]]; then command=\${COMP_WORDS[at]}; break; fi
  done
  if [[ -z $command ]]; then _haul_words ${quoted(first.join(' '))}; return; fi
  case $command:$prev in
${values.join('\n')}
  esac
  case $command in
${words.join('\n')}
  esac
}
complete -F _haul haul
`;
}

function bashValue({ kind, choices }: Value): string {
  if (choices.length > 0) return `_haul_words ${quoted(choices.join(' '))}`;
  if (kind === 'torrent') return '_haul_torrents';
  if (kind === 'other') return ':';
  return kind === 'folder' ? '_haul_paths -d' : '_haul_paths -f';
}

// ---- zsh ----

function zsh({ commands }: CommandTable): string {
  const list = commands.map(({ name, description }) => `    ${quoted(`${name}:${brief(description)}`)}`);
  return `#compdef haul
${HEAD('zsh')}
_haul() {
  local -a commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${commands.map(zshCommand).join('\n')}
  esac
}
if [[ $funcstack[1] == _haul ]]; then _haul "$@"; else compdef _haul haul; fi
`;
}

function zshCommand({ name, options, argument }: CommandRow): string {
  const specs = options.map(({ flags, description, value }) => {
    const text = brief(description).replace(/[[\]:\\]/g, '\\$&');
    const rest = `[${text}]${value === null ? '' : `:${value.name.replaceAll(':', '\\:')}:${zshValue(value)}`}`;
    const names = flags.length === 1 ? quoted(`*${flags[0]}`).slice(0, -1) : `'*'{${flags.join(',')}}'`;
    return `      ${names}${quoted(rest).slice(1)}`;
  });
  const words = argument === null ? [] : [`      ${quoted(`*:${argument.name}:${zshValue(argument)}`)}`];
  return `    ${name}) _arguments \\\n${[...specs, ...words].join(' \\\n')} ;;`;
}

function zshValue({ kind, choices }: Value): string {
  if (choices.length > 0) return `(${choices.join(' ')})`;
  if (kind === 'torrent') return '_files -g "*.torrent(-.)"';
  if (kind === 'other') return ' ';
  return kind === 'folder' ? '_files -/' : '_files';
}

// ---- fish ----

function fish({ options, commands }: CommandTable): string {
  const lines = commands.flatMap(({ name, description, options: own, argument }) => {
    const here = `complete -c haul -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c haul -n __fish_use_subcommand -a ${name} -d ${quoted(brief(description))}`,
      ...(argument === null ? [] : [`${here}${fishValue(argument, false)}`]),
      ...own.map((option) => `${here}${fishOption(option)}`),
    ];
  });
  const ours = options.map((option) => `complete -c haul -n __fish_use_subcommand${fishOption(option)}`);
  return `${[HEAD('fish'), 'complete -c haul -f', ...ours, ...lines].join('\n')}\n`;
}

function fishOption({ flags, description, value }: OptionRow): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`));
  return `${names.join('')} -d ${quoted(brief(description))}${value === null ? '' : fishValue(value, true)}`;
}

/** Files are offered where they are meant and nowhere else: `-r` alone would offer them for every value. */
function fishValue({ kind, choices }: Value, isOption: boolean): string {
  const exclusive = isOption ? ' -x' : '';
  if (choices.length > 0) return `${exclusive} -a ${quoted(choices.join(' '))}`;
  if (kind === 'torrent') return `${exclusive} -k -a '(__fish_complete_suffix .torrent)'`;
  if (kind === 'other') return exclusive;
  return kind === 'folder' ? `${exclusive} -a '(__fish_complete_directories)'` : `${isOption ? ' -r' : ''} -F`;
}
