/**
 * The native hash for processors that this machine is not: ARMv8 under an emulator, sixteen lanes cut into vectors of
 * AVX2.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../lab/child.js';
import { Scope } from '../../lab/scope.js';
import { tempFolder } from '../../lab/temp.js';
import { compile, type Source, sourcesFor, thisArchitecture } from '../../native/build.js';
import { HASH_WAYS, hashWays } from '../../src/native/multihash.js';
import { requirePrograms, skipWithout } from '../support/requirements.js';

const CHECK: Source = { name: 'check/check.c', flags: [] };

/** Compiles the check with these parts of the library, runs it with these words before it, and gives its lines. */
async function check(compiler: string, sources: readonly Source[], runner: readonly string[] = []): Promise<string[]> {
  const scope = new Scope();
  try {
    const folder = path.join(await tempFolder(scope), 'check');
    await mkdir(folder);
    const objects = await compile(compiler, [...sources, CHECK], folder);
    const program = path.join(folder, 'check');
    await run(scope, compiler, [...objects, '-static', '-o', program]);
    const [command = program, ...words] = [...runner, program];
    return (await run(scope, command, words)).trim().split('\n');
  } finally {
    await scope.close();
  }
}

/** True when it was skipped. */
function requireX64(t: TestContext): boolean {
  return skipWithout(t, thisArchitecture() === 'x64' ? null : 'this machine is not an x86-64 one');
}

const waysOf = (prefix: string): string => {
  const bits = HASH_WAYS.map((name, index) => (name.startsWith(prefix) ? 1 << index : 0));
  return bits.reduce((sum, bit) => sum | bit, 0).toString(16);
};

test('the SHA instructions of ARMv8, under qemu-user', async (t) => {
  if (await requirePrograms(t, ['aarch64-linux-gnu-gcc', 'qemu-aarch64'])) return;
  const lines = await check('aarch64-linux-gnu-gcc', sourcesFor('arm64'), ['qemu-aarch64']);
  const ways = waysOf('ARMv8');
  assert.deepEqual(lines, [`sha1 ways ${ways} good`, `sha256 ways ${ways} good`]);
});

test('sixteen lanes, compiled for AVX2', async (t) => {
  if (requireX64(t) || (await requirePrograms(t, ['cc']))) return;
  if (skipWithout(t, hashWays('sha1').includes(HASH_WAYS.indexOf('AVX2, 8 lanes')) ? null : 'there is no AVX2')) return;
  const ways = waysOf('AVX-512');
  const sources = sourcesFor('x64').map((source): Source => {
    if (source.name.endsWith('.avx512.c')) return { ...source, flags: ['-mavx2', '-Wno-psabi'] };
    // Its own word on what the processor can do gives way to the one below.
    if (source.name === 'processor.c') return { ...source, flags: ['-Dsh_processor_ways=sh_unasked_ways'] };
    return source;
  });
  const assumed: Source = { name: 'check/assumed.c', flags: [`-DSH_ASSUMED_WAYS=0x${ways}`] };
  assert.deepEqual(await check('cc', [...sources, assumed]), [`sha1 ways ${ways} good`, `sha256 ways ${ways} good`]);
});
