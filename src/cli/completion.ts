/** `haul completion`: prints what makes a shell complete the words of haul. */
import { Argument, Command } from 'commander';
import { jsonHelp } from './json-help.js';
import { type CommonOptions, examples } from './options.js';
import type { Runner } from './run.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** @param loadProgram with the definitions of all commands */
export function completionCommand(run: Runner, loadProgram: () => Promise<Command>): Command {
  return new Command('completion')
    .description('Print a script that lets a shell complete the words of haul')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        'source <(haul completion bash)   # in ~/.bashrc',
        'source <(haul completion zsh)    # in ~/.zshrc, behind compinit',
        'haul completion fish > ~/.config/fish/completions/haul.fish',
      ) + jsonHelp({ result: 'outcome shell script' }),
    )
    .action((shell: Shell, options: CommonOptions) =>
      run('completion', options, async ({ output }) => {
        const [{ completionScript }, { tableOf }, program] = await Promise.all([
          import('./completion-scripts.js'),
          import('./command-table.js'),
          loadProgram(),
        ]);
        const script = completionScript(shell, tableOf(program));
        output.event('result', { outcome: 'done', shell, script }, script.trimEnd());
        return 'done';
      }),
    );
}
