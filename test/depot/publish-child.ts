/**
 * Publishes a few artifacts, says "put NAME SHA256" of each when it is acknowledged, and kills itself before or after
 * one of its steps, which it says first: "at STEP". Without that it says at the end how many there were: "steps COUNT".
 * Arguments: folder, number of the step.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { openLevelCatalogue } from '../../src/depot/catalogue/level.js';
import { Depot } from '../../src/depot/publish.js';
import { openFolderStore } from '../../src/depot/store/folders.js';
import type { Hands } from '../../src/depot/store/group.js';
import { bytesOf, KIB, request } from './depot-kit.js';

const [folder = '', lastStep = '0'] = process.argv.slice(2);
let steps = 0;

async function step<T>(work: () => Promise<T>): Promise<T> {
  const die = (): void => {
    if (++steps !== Number(lastStep)) return;
    writeSync(1, `at ${steps}\n`);
    process.kill(process.pid, 'SIGKILL');
  };
  die();
  const value = await work();
  die();
  return value;
}

const wrapHands = (hands: Hands): Hands => ({
  write: (...all) => step(() => hands.write(...all)),
  settle: (...all) => step(() => hands.settle(...all)),
  remove: (...all) => step(() => hands.remove(...all)),
  openForce: async () => {
    const force = await hands.openForce();
    return force === null ? null : { ...force, all: () => step(() => force.all()) };
  },
});

/** Each call of these is a step. */
function stepping<T extends object>(target: T, methods: readonly (keyof T)[]): T {
  return new Proxy(target, {
    get: (_, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      const call = (...all: unknown[]): unknown => Reflect.apply(value, target, all);
      return methods.includes(key as keyof T) ? (...all: unknown[]) => step(async () => call(...all)) : call;
    },
  });
}

const store = stepping(await openFolderStore({ folder, wrapHands }), ['remove']);
const catalogue = stepping(await openLevelCatalogue(join(folder, 'catalogue')), ['put', 'remove']);
const depot = new Depot({ store, catalogue, torrentFromBytes: 100 * KIB });

async function publish(name: string, length: number, seed: number): Promise<void> {
  const { row } = await depot.publish(request(name, bytesOf(length, seed), { overwrite: true }));
  writeSync(1, `put ${row.name} ${row.sha256}\n`);
}

await publish('large', 300 * KIB, 1);
await Promise.all([publish('one', KIB, 2), publish('two', KIB, 3), publish('three', KIB, 4)]);
await publish('replaced', 200 * KIB, 5);
await publish('replaced', 210 * KIB, 6);
writeSync(1, 'removing artifacts/one\n');
await depot.remove('artifacts/one');
writeSync(1, 'removed artifacts/one\n');
writeSync(1, `steps ${steps}\n`);
process.kill(process.pid, 'SIGKILL');
