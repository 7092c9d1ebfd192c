/** Loads the command proper, and says in one line when the machine does not let it: then nothing of it is there to say so. */
const RESOURCES: Readonly<Record<string, string>> = {
  EMFILE: 'too many open files; raise the limit with: ulimit -n 1024',
  ENFILE: 'the machine has too many open files; close some programs or raise fs.file-max',
  ENOMEM: 'out of memory',
};

const isVersionAsked = process.argv.length === 3 && process.argv[2] === '--version';

/** What scripts ask first: nothing else is needed for it. */
async function sayVersion(): Promise<void> {
  const { VERSION } = await import('../version.js');
  process.stdout.write(`${VERSION}\n`);
}

async function runCommand(): Promise<void> {
  require('./tune.cjs');
  const { loadBundle } = require('./bundle.cjs') as import('./bundle.cjs').Bundles;
  const bundle = loadBundle(`${__dirname}/../bundle`, 'command') as typeof import('./command.js') | null;
  await (bundle ?? (await import('./command.js'))).runCommand();
}

(isVersionAsked ? sayVersion() : runCommand()).catch((error: NodeJS.ErrnoException) => {
  const text = RESOURCES[String(error.code)];
  process.stderr.write(text === undefined ? `${error.stack ?? error}\n` : `haul: ${text}\n`);
  process.exit(1);
});
