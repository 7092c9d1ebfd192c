/** Loads the command proper, and says in one line when the machine does not let it: then nothing of it is there to say so. */
const RESOURCES: Readonly<Record<string, string>> = {
  EMFILE: 'too many open files; raise the limit with: ulimit -n 1024',
  ENFILE: 'the machine has too many open files; close some programs or raise fs.file-max',
  ENOMEM: 'out of memory',
};

const DAMAGED: ReadonlySet<unknown> = new Set(['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND']);

function textOf(error: NodeJS.ErrnoException): string | undefined {
  if (!DAMAGED.has(error.code)) return RESOURCES[String(error.code)];
  return `${error.message.split('\n', 1)[0]}; the installation is damaged, install it again`;
}

const isVersionAsked = process.argv.length === 3 && ['--version', '-V'].includes(process.argv[2]!);

/** What scripts ask first: nothing else is needed for it. */
async function sayVersion(): Promise<void> {
  const { VERSION } = await import('../version.js');
  process.stdout.write(`${VERSION}\n`);
}

/** These hash, always. */
const HASHING = ['get', 'create', 'verify', 'share'];

function isHashing(words: readonly string[]): boolean {
  return HASHING.includes(words[0]!) && !words.includes('--help') && !words.includes('-h');
}

/** These are in a bundle of their own, with all others; a file of that name is no harm: it only takes longer to read. */
function isService(words: readonly string[]): boolean {
  return words.includes('depot') || words.includes('agent');
}

function cutError(): Error {
  return Object.assign(new Error('the file of the command is cut off'), { code: 'MODULE_NOT_FOUND' });
}

type Command = typeof import('./command.js');

/**
 * What a copy that was cut off has no more, or cannot load: anything else that goes wrong is told as it is.
 * @returns null: there is no bundle; undefined: there is no command in it
 */
function unlessCut(load: () => unknown): Command['runCommand'] | null | undefined {
  try {
    const command = load() as Partial<Command> | null;
    return command === null ? null : command.runCommand;
  } catch (error) {
    throw error instanceof SyntaxError || error instanceof ReferenceError ? cutError() : error;
  }
}

async function runCommand(): Promise<void> {
  const { loadBundle } = require('./bundle.cjs') as import('./bundle.cjs').Bundles;
  const folder = `${__dirname}/../bundle`;
  const words = process.argv.slice(2);
  const load = (): unknown =>
    loadBundle(folder, isService(words) ? 'service' : 'command', () => {
      if (!isHashing(words)) return;
      (require('./early-thread.cjs') as import('./early-thread.cjs').EarlyThreads).beginThread(`${folder}/thread.cjs`);
    });
  const run = unlessCut(load);
  if (run === undefined) throw cutError();
  await (run ?? (await import('./command.js')).runCommand)();
}

(isVersionAsked ? sayVersion() : runCommand()).catch((error: NodeJS.ErrnoException) => {
  const text = textOf(error);
  process.stderr.write(text === undefined ? `${error.stack ?? error}\n` : `haul: ${text}\n`);
  process.exit(1);
});
