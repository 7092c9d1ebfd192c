/** docs/commands.md, made of what `--help` prints. */
import type { Command } from 'commander';
import { makeProgram } from '../../src/cli/program.js';

/** Columns of the help as it stands on the page. */
const WIDTH = 100;
const BENCH = 'bench';

const HEAD = `# Commands

This page is made from \`haul --help\` and the \`--help\` of each command by \`npm run docs:pages\`.
[getting-started.md](getting-started.md) shows them at work.
`;

const BENCH_TEXT = `
Every word after \`haul bench\` goes to the bench suite. \`haul bench --help\` lists the benches, and
\`haul bench NAME --help\` says what one measures; see also [bench/README.md](../bench/README.md).
`.slice(1);

/** All of the help: with what commands add behind their options. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => WIDTH,
  });
  command.outputHelp();
  return text.trim();
}

function section(title: string, help: string): string {
  return `## ${title}\n\n\`\`\`\n${help}\n\`\`\`\n`;
}

/** The whole page. */
export async function commandsPage(): Promise<string> {
  const program = await makeProgram(async () => {}, undefined);
  const sections = program.commands.map((command) => {
    const title = `haul ${command.name()}`;
    return command.name() === BENCH ? `## ${title}\n\n${BENCH_TEXT}` : section(title, helpOf(command));
  });
  return [HEAD, section('haul', helpOf(program)), ...sections].join('\n');
}
