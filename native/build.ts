/**
 * `node dist/native/build.js`: compiles every `native/*.c` into one shared library for this machine, where there is a C
 * compiler; says in a line when there is none, and that is no failure. With `--prebuilds`: for all that a package
 * carries, into `prebuilds/`.
 *
 * A file whose name ends in one of FLAGS is compiled for those instructions and that processor only; the rest is for
 * any machine of its kind. The library ends in two digests: of what it was made of, so that nothing is compiled twice,
 * and of all before it, because a library that was cut off ends the process that loads it.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** The root of the checkout; this runs in dist/native. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = path.join(ROOT, 'native');
const NAME = 'libswarmhaul.so';

export type Architecture = 'x64' | 'arm64';

interface FileFlags {
  readonly architecture: Architecture;
  readonly flags: readonly string[];
}

/** By the end of the name. What such a file defines may be called only after the processor was asked. */
const FLAGS: Readonly<Record<string, FileFlags>> = {
  '.shani.c': { architecture: 'x64', flags: ['-msha', '-msse4.1'] },
  '.avx2.c': { architecture: 'x64', flags: ['-mavx2'] },
  '.avx512.c': { architecture: 'x64', flags: ['-mavx512f', '-mavx512bw', '-mavx512vl'] },
  '.armv8.c': { architecture: 'arm64', flags: ['-march=armv8-a+crypto'] },
};
/** Not what a distribution makes of it: what runs before the processor is asked runs on any. */
const BASELINE: Readonly<Record<Architecture, string>> = { x64: '-march=x86-64', arm64: '-march=armv8-a' };
const COMMON = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra'];
/** Never unloaded: the handler of SIGBUS stays when whoever loaded it is gone. */
const LINK = ['-shared', '-s', '-Wl,-z,relro', '-Wl,-z,now', '-Wl,-z,nodelete', '-Wl,--as-needed'];
const CROSS_COMPILERS: Readonly<Record<Architecture, string>> = {
  x64: 'x86_64-linux-gnu-gcc',
  arm64: 'aarch64-linux-gnu-gcc',
};

export interface BuildTask {
  readonly compiler: string;
  readonly architecture: Architecture;
  /** Folder for the library; made when it is not there. */
  readonly folder: string;
}

/** The processors there is code for; null: this machine has another one, or another system. */
export function thisArchitecture(): Architecture | null {
  const { platform, arch } = process;
  return platform === 'linux' && (arch === 'x64' || arch === 'arm64') ? arch : null;
}

export interface Source {
  /** Its path below `native/`. */
  readonly name: string;
  readonly flags: readonly string[];
}

/** What the library for this processor is made of. */
export function sourcesFor(architecture: Architecture): Source[] {
  const found: Source[] = [];
  const baseline = [BASELINE[architecture]];
  for (const name of readdirSync(SOURCES).sort()) {
    if (!name.endsWith('.c')) continue;
    const special = Object.entries(FLAGS).find(([end]) => name.endsWith(end))?.[1];
    if (special === undefined) found.push({ name, flags: baseline });
    else if (special.architecture === architecture) found.push({ name, flags: [...baseline, ...special.flags] });
  }
  return found;
}

function keyOf({ compiler, architecture }: BuildTask, sources: readonly Source[]): Buffer {
  const hash = createHash('sha256').update(JSON.stringify([compiler, architecture, COMMON, LINK, sources]));
  for (const name of readdirSync(SOURCES).sort()) {
    if (/\.[ch]$/.test(name)) hash.update(readFileSync(path.join(SOURCES, name)));
  }
  return hash.digest();
}

function isMadeOf(file: string, key: Buffer): boolean {
  try {
    return readFileSync(file).subarray(-64, -32).equals(key);
  } catch {
    return false;
  }
}

/** @returns the object files, in `folder`. @throws what the compiler said */
export function compile(compiler: string, sources: readonly Source[], folder: string): Promise<string[]> {
  const one = async ({ name, flags }: Source): Promise<string> => {
    const object = path.join(folder, `${path.basename(name)}.o`);
    const { stderr } = await exec(compiler, [...COMMON, ...flags, '-c', path.join(SOURCES, name), '-o', object]);
    if (stderr !== '') process.stderr.write(stderr);
    return object;
  };
  return Promise.all(sources.map(one));
}

/** @returns the file of the library. @throws what the compiler said */
export async function build(task: BuildTask): Promise<string> {
  const { compiler, architecture, folder } = task;
  const target = path.join(folder, NAME);
  const sources = sourcesFor(architecture);
  const key = keyOf(task, sources);
  if (isMadeOf(target, key)) return target;
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(path.join(folder, '.build-'));
  try {
    const objects = await compile(compiler, sources, work);
    const library = path.join(work, NAME);
    await exec(compiler, [...objects, ...LINK, '-o', library]);
    const content = Buffer.concat([readFileSync(library), key]);
    writeFileSync(library, Buffer.concat([content, createHash('sha256').update(content).digest()]));
    // Whoever has the old one loaded keeps it.
    renameSync(library, target);
  } finally {
    rmSync(work, { recursive: true });
  }
  return target;
}

/** Never throws: everything works without the library. */
async function attempt(task: BuildTask): Promise<boolean> {
  try {
    await build(task);
    return true;
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: unknown };
    if (typeof stderr === 'string') process.stderr.write(stderr);
    const why = code === 'ENOENT' ? `there is no ${task.compiler}` : `${task.compiler} failed`;
    process.stderr.write(`native: no library for linux-${task.architecture}: ${why}. All works without it, slower\n`);
    return false;
  }
}

/** The library beside the compiled sources, made of the present ones. */
export async function buildHere(): Promise<boolean> {
  const architecture = thisArchitecture();
  if (architecture === null) return false;
  const folder = fileURLToPath(new URL(`linux-${architecture}`, import.meta.url));
  return attempt({ compiler: process.env.CC ?? 'cc', architecture, folder });
}

/** What the package carries: a library for each processor, below `folder`. */
export async function buildPrebuilds(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  for (const architecture of ['x64', 'arm64'] as const) {
    const isOwn = architecture === thisArchitecture();
    const compiler = isOwn ? (process.env.CC ?? 'cc') : CROSS_COMPILERS[architecture];
    await attempt({ compiler, architecture, folder: path.join(folder, `linux-${architecture}`) });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await (process.argv.includes('--prebuilds') ? buildPrebuilds(path.join(ROOT, 'prebuilds')) : buildHere());
}
