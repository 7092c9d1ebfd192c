/** The command `haul`. Loads commander and option definitions only; each command loads the rest when it runs. */
import { CommanderError } from 'commander';
import { printable } from './format.js';
import { Output } from './output.js';
import { makeProgram } from './program.js';
import { EXIT, exitWhenWritten, isDebug, makeRunner } from './run.js';

let exitCode: number = EXIT.done;
const argv = process.argv.slice(2);

/** For trouble outside a running command; its options may not have been understood, so the words are searched. */
function plainOutput(): Output {
  return new Output({
    command: argv.find((word) => !word.startsWith('-')) ?? 'haul',
    json: argv.includes('--json'),
    verbose: argv.includes('--verbose') || isDebug(),
    stdout: process.stdout,
    stderr: process.stderr,
  });
}

function onCrash(error: unknown): void {
  plainOutput().error(error);
  process.exit(EXIT.failed);
}

// What could not be written is said once, at the exit.
process.stdout.on('error', () => {});
process.on('uncaughtException', onCrash);
process.on('unhandledRejection', onCrash);

/** Runs the command that the words of this process name; ends the process. @throws what its definition does */
export async function runCommand(): Promise<void> {
  const run = makeRunner((code) => {
    exitCode = code;
  });
  const program = await makeProgram(run, argv[0]);

  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said on standard error what is wrong; machines get it too.
    exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (exitCode === EXIT.usage && argv.includes('--json')) {
      const message = printable(error.message.replace(/^error: /, '').replaceAll('\n', ' '));
      plainOutput().event('error', { code: 'USAGE', message, facts: {} }, '');
    }
  }
  exitWhenWritten(exitCode);
}
