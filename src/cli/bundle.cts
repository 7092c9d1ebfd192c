/**
 * Loads a bundle (`bundle/build.ts`): the modules of the command, or of a worker, in one file, beside the code that V8 made of it at the build.
 * Finding, reading and compiling some 200 modules takes longer than a short download.
 * Everything works without: a bundle that is not there, or older than a module, is left alone, and code that another V8 made is not used.
 * Invariant: compiled code runs only with the very source it was made of; the digest of both says so, for V8 compares no more than the length.
 */
const { createHash } = require('node:crypto') as typeof import('node:crypto');
const { readFileSync, statSync } = require('node:fs') as typeof import('node:fs');
const { createRequire, wrap } = require('node:module') as typeof import('node:module') & {
  wrap(source: string): string;
};
const path = require('node:path') as typeof import('node:path');
const { Script } = require('node:vm') as typeof import('node:vm');

const DIGEST_BYTES = 32;

export interface Bundles {
  readonly digestOf: typeof digestOf;
  readonly filesOf: typeof filesOf;
  readonly isOutdated: typeof isOutdated;
  readonly loadBundle: typeof loadBundle;
  readonly scriptOf: typeof scriptOf;
}

/** Of a bundle: what is run, and its compiled code behind the digest of both. */
function filesOf(folder: string, name: string): { readonly source: string; readonly code: string } {
  return { source: path.join(folder, `${name}.cjs`), code: path.join(folder, `${name}.code`) };
}

function digestOf(source: Uint8Array, code: Uint8Array): Buffer {
  return createHash('sha256').update(source).update(code).digest();
}

/**
 * The source as a script. Bundles are ASCII, a byte for each character, and have no `import()`. V8 keeps the name of the
 * file with the compiled code, so it is one that is true anywhere.
 */
function scriptOf(name: string, source: Buffer, cachedData?: Buffer): import('node:vm').Script {
  return new Script(wrap(source.toString('latin1')), {
    filename: `swarmhaul/dist/src/bundle/${name}.cjs`,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
}

function readCode(file: string, source: Buffer): Buffer | undefined {
  try {
    const content = readFileSync(file);
    const code = content.subarray(DIGEST_BYTES);
    return digestOf(source, code).equals(content.subarray(0, DIGEST_BYTES)) ? code : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The modules were compiled after the bundle was made of them: the compiler's own record is younger. Only a checkout has
 * one; looking at all the modules takes 20 ms on a slow file system.
 */
function isOutdated(folder: string, file: string): boolean {
  const record = statSync(path.join(folder, '../../.tsbuildinfo'), { throwIfNoEntry: false });
  const { mtimeMs } = statSync(file);
  return record !== undefined && record.mtimeMs > mtimeMs;
}

/**
 * What the bundle exports.
 * @param folder where bundles are
 * @param onFound called when there is one, before it is read and run
 * @returns null where there is none to be used. @throws what the bundle does
 */
function loadBundle(folder: string, name: string, onFound?: () => void): unknown {
  const { source: file, code } = filesOf(folder, name);
  let source: Buffer;
  try {
    if (isOutdated(folder, file)) return null;
    onFound?.();
    source = readFileSync(file);
  } catch {
    return null;
  }
  const script = scriptOf(name, source, readCode(code, source));
  const module = { exports: {} };
  script.runInThisContext().call(module.exports, module.exports, createRequire(file), module, file, folder);
  return module.exports;
}

module.exports = { digestOf, filesOf, isOutdated, loadBundle, scriptOf } satisfies Bundles;
