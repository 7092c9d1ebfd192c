/**
 * `node dist/bundle/build.js`: puts the compiled modules of the command into one file, and with those of depots and
 * agents into another, those of a worker into a third, those of undici that make a request into a fourth, and beside
 * each the code that V8 makes of it (`src/cli/bundle.cts` loads them). Says in a line when there is no esbuild, and
 * that is no failure: the command runs module by module then, and starts slower.
 *
 * Of the packages only those are put in that every command needs; what is native, large or seldom used is loaded from
 * its own place. Not made smaller: names and order of the sources stay, so that a stack trace can be read.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const bundles = require('../src/cli/bundle.cjs') as import('../src/cli/bundle.cjs').Bundles;
const { digestOf, filesOf, isOutdated, scriptOf } = bundles;

/** This runs in dist/bundle. */
const MODULES = fileURLToPath(new URL('../src', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Two below dist, as every module: what they name by their own place is found from here as well. */
const FOLDER = path.join(MODULES, 'bundle');
const NOTICES = 'LICENSES.txt';
const COMPILE = fileURLToPath(new URL('compile.js', import.meta.url));

/** What is loaded from its own place. */
const EXTERNAL = [
  'koffi',
  'classic-level',
  'pg',
  'zod',
  'prom-client',
  'fastify',
  'light-my-request',
  'undici',
  'picomatch',
  'cli-progress',
  '@napi-rs/nice',
  '@redis/client',
  '@aws-sdk/client-s3',
];

/** The part of esbuild that is used; it need not be installed. */
interface Esbuild {
  build(options: Readonly<Record<string, unknown>>): Promise<{
    readonly metafile: { readonly inputs: Readonly<Record<string, unknown>> };
    readonly outputFiles: readonly { readonly text: string }[];
  }>;
}

interface Placed {
  readonly path: string;
  readonly namespace: string;
}

interface PluginBuild {
  onResolve(options: { filter: RegExp }, resolve: (args: { path: string }) => Placed): void;
  onLoad(options: { filter: RegExp; namespace?: string }, load: (args: { path: string }) => { contents: string }): void;
}

const EARLY_THREAD = '../cli/early-thread.cjs';
const HTTP_ENTRY = './http-entry.cjs';

interface Change {
  readonly file: RegExp;
  readonly from: string;
  readonly to: string;
}

/**
 * Piscina starts its threads with a file beside its own; the first of them may have been started already. Commander
 * loads what starts processes, for commands that are programs of their own; ours are not. Undici is in a bundle of its
 * own, which is read with the first request; HTTP/2, which we do not use, is not loaded with it.
 */
const CHANGES: readonly Change[] = [
  { file: /piscina[\\/]dist[\\/]index\.js$/, from: "(__dirname, 'worker.js')", to: "(__dirname, 'thread.cjs')" },
  {
    file: /commander[\\/]lib[\\/]command\.js$/,
    from: "const childProcess = require('node:child_process');",
    to: "const childProcess = { get spawn() { return require('node:child_process').spawn; } };",
  },
  {
    file: /piscina[\\/]dist[\\/]worker_pool[\\/]index\.js$/,
    from: 'new node_worker_threads_1.Worker(filename, workerOpts)',
    to: `require('${EARLY_THREAD}').takeThread() ?? new node_worker_threads_1.Worker(filename, workerOpts)`,
  },
  {
    file: /net[\\/]http-client\.js$/,
    from: "require('undici/lib/dispatcher/agent.js')",
    to: `require('${HTTP_ENTRY}').Agent`,
  },
  {
    file: /net[\\/]http-client\.js$/,
    from: "require('undici/lib/api/api-request.js')",
    to: `require('${HTTP_ENTRY}').request`,
  },
  {
    file: /undici[\\/]lib[\\/]dispatcher[\\/]client\.js$/,
    from: "const connectH2 = require('./client-h2.js')",
    to: "const connectH2 = (...all) => require('./client-h2.js')(...all)",
  },
];

function changed(file: string, text: string, { from, to }: Change): string {
  if (!text.includes(from)) throw new Error(`${file} is not as it was: there is no ${from}`);
  return text.replace(from, to);
}

const CHANGED_PACKAGES = {
  name: 'changed-packages',
  setup({ onLoad }: PluginBuild): void {
    for (const file of new Set(CHANGES.map((change) => change.file.source))) {
      const changes = CHANGES.filter((change) => change.file.source === file);
      onLoad({ filter: new RegExp(file) }, ({ path: found }) => ({
        contents: changes.reduce((text, change) => changed(found, text, change), readFileSync(found, 'utf8')),
      }));
    }
  },
};

/** Depots and agents have a bundle of their own (`src/cli/launch.cts`): other commands start sooner without them. */
const LEFT_OUT = {
  name: 'left-out',
  setup({ onResolve, onLoad }: PluginBuild): void {
    const filter = /[\\/]depot[\\/](depot|check|rebuild|open-catalogue|agent[\\/]agent|store[\\/]folders)\.js$/;
    onResolve({ filter }, ({ path: named }) => ({ path: named, namespace: 'left-out' }));
    onLoad({ filter: /./, namespace: 'left-out' }, ({ path: named }) => ({
      contents: `throw new Error('${path.posix.basename(named)} is not in the bundle');`,
    }));
  },
};

/** Before the code. */
const DIGEST_BYTES = 32;
const URL_OF_THIS = 'urlOfThisBundle';

/** V8 takes ASCII as it is; an escape means the same in strings, regular expressions and names. */
function toAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What is in a bundle beside what it asks for. */
interface Entry {
  readonly stdin?: { readonly contents: string; readonly resolveDir: string };
  readonly entryPoints?: readonly string[];
  /** Packages of `EXTERNAL` that are put in all the same. */
  readonly with?: string;
  /** With depots and agents. */
  readonly isService?: boolean;
}

/** @returns the files it was made of */
async function bundle(esbuild: Esbuild, entry: Entry, target: string): Promise<string[]> {
  const { with: included, isService = false, ...source } = entry;
  const external = EXTERNAL.filter((name) => name !== included);
  const { metafile, outputFiles } = await esbuild.build({
    ...source,
    bundle: true,
    write: false,
    metafile: true,
    absWorkingDir: ROOT,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    legalComments: 'none',
    // Code that was compiled before has nobody to ask for a module; `require` it is.
    supported: { 'dynamic-import': false },
    external: [...external, ...external.map((name) => `${name}/*`), EARLY_THREAD, HTTP_ENTRY],
    banner: { js: `const ${URL_OF_THIS} = require('node:url').pathToFileURL(__filename).href;` },
    define: { 'import.meta.url': URL_OF_THIS },
    plugins: isService ? [CHANGED_PACKAGES] : [CHANGED_PACKAGES, LEFT_OUT],
    logLevel: 'warning',
  });
  writeFileSync(target, toAscii(outputFiles[0]!.text));
  return Object.keys(metafile.inputs);
}

/** The licence of every package that was put in. */
function notices(inputs: readonly string[]): string {
  const folders = new Set(inputs.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
  const texts = [...folders].sort().map((folder) => {
    const read = (name: string): string => readFileSync(path.join(ROOT, folder, name), 'utf8');
    const { name, version, license, author } = JSON.parse(read('package.json')) as Record<string, unknown>;
    const file = readdirSync(path.join(ROOT, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const by = typeof author === 'string' ? author : ((author as { name?: string } | undefined)?.name ?? 'its authors');
    return `${name} ${version}, ${license}, by ${by}\n${file === undefined ? '' : `\n${read(file).trim()}\n`}`;
  });
  return ['These packages are part of the files in this folder.\n', ...texts].join(`\n${'-'.repeat(72)}\n\n`);
}

/** By another process: V8 asks for the very flags that the command has. */
function compiled(source: string): Buffer {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const code = execFileSync(process.execPath, [COMPILE, source], { env, maxBuffer: 64 * 1024 * 1024 });
  return Buffer.concat([digestOf(readFileSync(source), code), code]);
}

/** The code is that of a file that is missing: the pool knows what to say then. */
const WORKER_ENTRY = `\
let run;
try {
  run = require('../cli/bundle.cjs').loadBundle(__dirname, 'worker')?.default;
} catch (error) {
  // Cut off, it is no program, or names what is not there.
  if (!(error instanceof SyntaxError || error instanceof ReferenceError)) throw error;
}
if (typeof run !== 'function') {
  const error = new Error('there is no worker in ' + __dirname);
  throw Object.assign(error, { code: 'MODULE_NOT_FOUND' });
}
module.exports = run;
`;

/** As `net/http-client.ts` asks for them. */
const HTTP_PARTS = `\
exports.Agent = require('undici/lib/dispatcher/agent.js');
exports.request = require('undici/lib/api/api-request.js');
`;

/** Where its bundle is no good, undici is read from its own place; who asks knows what to do when that fails too. */
const HTTP_ENTRY_TEXT = `\
try {
  module.exports = require('../cli/bundle.cjs').loadBundle(__dirname, 'http') ?? {};
} catch {}
if (typeof module.exports.Agent !== 'function' || typeof module.exports.request !== 'function') {
  ${HTTP_PARTS.trim().replaceAll('exports', 'module.exports').replace('\n', '\n  ')}
}
`;

async function make(esbuild: Esbuild, work: string): Promise<void> {
  const only = (file: string): Entry => ({ entryPoints: [file] });
  const http: Entry = { stdin: { contents: HTTP_PARTS, resolveDir: ROOT }, with: 'undici' };
  const thread = path.join(path.dirname(require.resolve('piscina')), 'worker.js');
  const command = only(path.join(MODULES, 'cli/command.js'));
  const inputs = [
    await bundle(esbuild, command, filesOf(work, 'command').source),
    await bundle(esbuild, { ...command, isService: true }, filesOf(work, 'service').source),
    await bundle(esbuild, only(path.join(MODULES, 'work/worker.js')), filesOf(work, 'worker').source),
    await bundle(esbuild, http, filesOf(work, 'http').source),
    await bundle(esbuild, only(thread), path.join(work, 'thread.cjs')),
  ];
  for (const name of ['command', 'service', 'worker', 'http']) {
    const { source, code } = filesOf(work, name);
    writeFileSync(code, compiled(source));
  }
  writeFileSync(path.join(work, 'worker-entry.cjs'), WORKER_ENTRY);
  writeFileSync(path.join(work, HTTP_ENTRY), HTTP_ENTRY_TEXT);
  writeFileSync(path.join(work, NOTICES), notices(inputs.flat()));
}

function findEsbuild(): Esbuild | null {
  try {
    return require('esbuild') as Esbuild;
  } catch {
    return null;
  }
}

/** As `makeBundles`, unless they are there, no module is younger, and their code is of this V8. */
export async function buildBundles(): Promise<boolean> {
  const { source, code } = filesOf(FOLDER, 'command');
  const isThere = existsSync(source) && existsSync(code) && !isOutdated(FOLDER, source);
  return (isThere && isOfThisEngine(readFileSync(source), readFileSync(code))) || makeBundles();
}

/** Another Node.js made it: all works then, and starts slower. */
function isOfThisEngine(source: Buffer, code: Buffer): boolean {
  return scriptOf('command', source, code.subarray(DIGEST_BYTES)).cachedDataRejected === false;
}

/** Bundles of the present modules; none where there is no esbuild. Returns whether they are there. */
async function makeBundles(): Promise<boolean> {
  const esbuild = findEsbuild();
  if (esbuild === null) {
    rmSync(FOLDER, { recursive: true, force: true });
    process.stderr.write('bundle: there is no esbuild. All works without it, and starts slower\n');
    return false;
  }
  mkdirSync(MODULES, { recursive: true });
  const work = mkdtempSync(path.join(MODULES, '.bundle-'));
  try {
    await make(esbuild, work);
    // What `mkdtemp` makes is for this user alone.
    chmodSync(work, 0o755);
    rmSync(FOLDER, { recursive: true, force: true });
    renameSync(work, FOLDER);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return true;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await makeBundles();
