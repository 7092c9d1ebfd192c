/**
 * `node bundle/make.mjs [--anew]`, which is `npm run build`: makes `dist`, or nothing where it is what the sources, the
 * packages and this Node.js make. `--anew`: without what is there. Not TypeScript, for it runs before there is a build.
 *
 * Compared is what is in the files, of sources and of outputs: times of files lie after a copy or a change of branch.
 * The state of the sources is that from before they were compiled: who edits meanwhile gets another build.
 * When an output differs the compiler's own record goes, for it knows the sources alone and would leave that output.
 * The C library keeps its own account (`native/build.ts`), for a compiler can come and go.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['src', 'test', 'bench', 'sim', 'lab', 'native', 'bundle'];
/** What the build reads beside them; the last is what npm has installed. */
const OTHERS = ['package.json', 'tsconfig.json', 'src/depot/page/tsconfig.json', 'node_modules/.package-lock.json'];
const SOURCE = /\.[cm]?ts$/;
const OUTPUT = /\.(?:[cm]?js|d\.[cm]?ts)$/;
const BUNDLES = ['src/bundle'];
const RECORD = path.join(ROOT, 'dist/.fresh.json');
const COMPILER_RECORD = path.join(ROOT, 'dist/.tsbuildinfo');

/** @param {string} place @param {readonly string[]} folders of it @param {RegExp} pattern */
function filesIn(place, folders, pattern) {
  return folders.flatMap((part) => {
    const folder = path.join(ROOT, place, part);
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    return names.filter((name) => pattern.test(name)).map((name) => `${part}/${name}`);
  });
}

/** @param {string} place @param {readonly string[]} names */
function digestOf(place, names) {
  const hash = createHash('sha256');
  for (const name of names) {
    const file = path.join(ROOT, place, name);
    const content = existsSync(file) ? readFileSync(file) : '';
    hash.update(`${name} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function outputs() {
  return filesIn('dist', FOLDERS, OUTPUT).filter((name) => !BUNDLES.some((folder) => name.startsWith(`${folder}/`)));
}

const digestOfSources = () => digestOf('', [...OTHERS, ...filesIn('', FOLDERS, SOURCE)]);
const digestOfOutputs = () => digestOf('dist', outputs());
/** They hold code of this very Node.js. */
const digestOfBundles = () => `${process.version} ${digestOf('dist', filesIn('dist', BUNDLES, /./))}`;

function readRecord() {
  try {
    return JSON.parse(readFileSync(RECORD, 'utf8'));
  } catch {
    return {};
  }
}

/** Outputs whose source is gone. */
function removeOrphans() {
  for (const name of outputs()) {
    const source = name.replace(/(?:\.d)?\.([cm]?)[jt]s$/, '.$1ts');
    if (!existsSync(path.join(ROOT, source))) rmSync(path.join(ROOT, 'dist', name));
  }
}

/** Ends this process when it fails. @param {readonly string[]} words of node */
function node(...words) {
  return new Promise((resolve) => {
    spawn(process.execPath, words, { cwd: ROOT, stdio: 'inherit' }).once('exit', (code) => {
      if (code === 0) resolve(undefined);
      else process.exit(code ?? 1);
    });
  });
}

/** @param {boolean} fromOutputs what the compiler made before is still there */
async function compile(fromOutputs) {
  rmSync(RECORD, { force: true });
  if (!fromOutputs) rmSync(COMPILER_RECORD, { force: true });
  const tsc = 'node_modules/typescript/lib/tsc.js';
  await Promise.all([node(tsc, '-p', 'tsconfig.json'), node(tsc, '-p', 'src/depot/page')]);
  removeOrphans();
}

if (process.argv.includes('--anew')) rmSync(path.join(ROOT, 'dist'), { recursive: true, force: true });
const [noted, sources] = [readRecord(), digestOfSources()];
const areOutputsNoted = noted.outputs === digestOfOutputs();
const isCompiled = areOutputsNoted && noted.sources === sources;
const isBundled = isCompiled && noted.bundles === digestOfBundles();
if (!isCompiled) await compile(areOutputsNoted);
await Promise.all([node('dist/native/build.js'), isBundled || node('dist/bundle/build.js')]);
if (!isBundled) {
  writeFileSync(RECORD, JSON.stringify({ sources, outputs: digestOfOutputs(), bundles: digestOfBundles() }));
}
