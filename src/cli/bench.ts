/** `haul bench`: hands its words on to the bench suite of this package, which is loaded by nothing else. */
import { Command } from 'commander';
import { examples } from './options.js';
import type { Context, Outcome, Runner } from './run.js';

/** Of the built package: not an import, so that the engine never depends on its benches. */
const BENCH = new URL('../../bench/run.js', import.meta.url);

export function benchCommand(run: Runner): Command {
  return (
    new Command('bench')
      .description('Measure this machine: the bench suite')
      .argument('[words...]', 'a bench and its options')
      .addHelpText('after', examples('haul bench --help', 'haul bench loopback --size 2G --turns 3'))
      // Every word belongs to the suite, --help and what looks like an option too.
      .helpOption(false)
      .allowUnknownOption()
      .action((words: string[]) => run('bench', {}, (context) => runSuite(context, words)))
  );
}

async function runSuite({ signal }: Context, words: readonly string[]): Promise<Outcome> {
  const { spawn } = await import('node:child_process');
  const { existsSync } = await import('node:fs');
  const { fileURLToPath } = await import('node:url');
  const { HaulError } = await import('../errors.js');
  const suite = fileURLToPath(BENCH);
  if (!existsSync(suite)) {
    throw new HaulError('NOT_FOUND', `the bench suite is missing: there is no ${suite}; install the package anew`);
  }
  if (signal.aborted) return 'interrupted';
  const child = spawn(process.execPath, [...process.execArgv, suite, ...words], { stdio: 'inherit' });
  // On a terminal it has heard Ctrl-C itself and may be gone; it removes its gigabytes before it ends.
  signal.addEventListener('abort', () => child.kill('SIGTERM'));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (signal.aborted) return 'interrupted';
  if (exitCode === 2) return 'usage';
  return exitCode === 0 ? 'done' : 'failed';
}
