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

/** These hash, always. */
const HASHING = ['get', 'create', 'verify', 'share'];

function isHashing(words: readonly string[]): boolean {
  return HASHING.includes(words[0]!) && !words.includes('--help');
}

async function runCommand(): Promise<void> {
  const { loadBundle } = require('./bundle.cjs') as import('./bundle.cjs').Bundles;
  const folder = `${__dirname}/../bundle`;
  const bundle = loadBundle(folder, 'command', () => {
    if (!isHashing(process.argv.slice(2))) return;
    (require('./early-thread.cjs') as import('./early-thread.cjs').EarlyThreads).beginThread(`${folder}/thread.cjs`);
  }) as typeof import('./command.js') | null;
  await (bundle ?? (await import('./command.js'))).runCommand();
}

(isVersionAsked ? sayVersion() : runCommand()).catch((error: NodeJS.ErrnoException) => {
  const text = RESOURCES[String(error.code)];
  process.stderr.write(text === undefined ? `${error.stack ?? error}\n` : `haul: ${text}\n`);
  process.exit(1);
});
