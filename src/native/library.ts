/**
 * Loads the native library (`native/`): the one that was built here, else the one that came with the package. Each
 * thread loads it by itself, with the first call of `nativeLibrary`; importing this file loads nothing. Everything
 * works without it.
 *
 * To add a function: its prototype in `native/swarmhaul.h` and in FUNCTIONS. Addresses are numbers (`uintptr_t`), or
 * typed arrays where the prototype has a pointer: the function then sees the memory of the array itself, during the
 * call.
 * Invariant: nothing of a file runs unless its checksum is right, and no function is called but by the interface it was
 * made for.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** SH_INTERFACE in `native/swarmhaul.h`. */
export const NATIVE_INTERFACE = 4;

const FUNCTIONS = {
  interface: 'int32_t sh_interface(void)',
  guardInstall: 'int32_t sh_guard_install(void)',
  guardAdd: 'int32_t sh_guard_add(uintptr_t begin, uintptr_t length)',
  guardRemove: 'void sh_guard_remove(int32_t window)',
  guardFaults: 'uint32_t sh_guard_faults(int32_t window)',
  guardFirst: 'uintptr_t sh_guard_first(int32_t window)',
  guardTotal: 'uintptr_t sh_guard_total(void)',
  hashWays: 'int32_t sh_hash_ways(int32_t algorithm)',
  hashRate: 'int32_t sh_hash_rate(int32_t algorithm, int32_t count)',
  hash:
    'int32_t sh_hash(int32_t algorithm, void *messages, int32_t count, ' +
    'void *ranges, int32_t range_count, int32_t way)',
  digestFile:
    'int32_t sh_digest_file(int32_t algorithm, int32_t fd, uint64_t begin, uint64_t length, ' +
    'uint64_t piece_length, void *scratch, uint64_t scratch_bytes, void *digests)',
} as const;

const NAME = 'libswarmhaul.so';
const DIGEST_BYTES = 32;

export type NativeCall = (...args: (number | Uint8Array | Uint32Array | null)[]) => number;
export type NativeFunctions = Readonly<Record<keyof typeof FUNCTIONS, NativeCall>>;

export interface NativeLoad {
  readonly functions: NativeFunctions | null;
  /** The file that was loaded, or null. */
  readonly path: string | null;
  /** Why there is none, or why not the first one: a line for each place that was looked at in vain. */
  readonly reasons: readonly string[];
}

/** Where a library may be, the best place first. */
function places(): string[] {
  const folder = `${process.platform}-${process.arch}`;
  return [`../../native/${folder}/${NAME}`, `../../../prebuilds/${folder}/${NAME}`].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
}

/** @throws with the reason, when the file is not what was built: loading half a library is a SIGBUS */
function check(file: string): void {
  const content = readFileSync(file);
  const digest = createHash('sha256').update(content.subarray(0, -DIGEST_BYTES)).digest();
  if (!digest.equals(content.subarray(-DIGEST_BYTES))) throw new Error('its checksum is wrong');
}

function open(file: string): NativeFunctions {
  check(file);
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const library = koffi.load(file);
  const found = library.func(FUNCTIONS.interface)() as number;
  if (found !== NATIVE_INTERFACE) throw new Error(`it has interface ${found}, not ${NATIVE_INTERFACE}`);
  const functions = Object.entries(FUNCTIONS).map(([name, prototype]) => [name, library.func(prototype)]);
  return Object.fromEntries(functions) as NativeFunctions;
}

/** The first of these files that can be used. Never throws. */
export function loadFirst(files: readonly string[]): NativeLoad {
  const reasons: string[] = [];
  for (const file of files) {
    try {
      return { functions: open(file), path: file, reasons };
    } catch (error) {
      const isMissing = (error as { code?: unknown }).code === 'ENOENT';
      const text = error instanceof Error ? error.message.split('\n', 1)[0]! : String(error);
      reasons.push(`${path.basename(path.dirname(file))}/${NAME}: ${isMissing ? 'not there' : text}`);
    }
  }
  return { functions: null, path: null, reasons };
}

/**
 * Where the memory of an array lies. Whoever passes it on keeps the array while it is used.
 * @throws where koffi cannot be loaded
 */
export function addressOf(bytes: Uint8Array): number {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  return Number(koffi.address(bytes));
}

let load: NativeLoad | null = null;

/** What became of loading it; loads it when nobody has yet. */
export function nativeLoad(): NativeLoad {
  if (process.env.SWARMHAUL_NATIVE === 'off') {
    load ??= { functions: null, path: null, reasons: ['SWARMHAUL_NATIVE=off'] };
  } else
    load ??=
      process.platform === 'linux' ? loadFirst(places()) : { functions: null, path: null, reasons: ['it needs Linux'] };
  return load;
}

/** Null where there is no library, or where `SWARMHAUL_NATIVE=off` says to do without. */
export function nativeLibrary(): NativeFunctions | null {
  return nativeLoad().functions;
}
