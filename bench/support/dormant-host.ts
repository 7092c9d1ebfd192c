/**
 * An engine with dormant torrents alone in its process (with --expose-gc): dormant-host COUNT IDLE-MS
 * Says one line of figures and leaves.
 */
import { createHash } from 'node:crypto';
import { createEngine } from '../../src/index.js';

const [count = 0, idleMs = 0] = process.argv.slice(2).map(Number);

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Bytes held after a garbage collection. */
async function heldBytes(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    await sleep(50);
    globalThis.gc!();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const engine = await createEngine({ port: 0, host: '127.0.0.1', threads: 1 });
// Made before the clock starts: an owner has them.
const hashes = Array.from({ length: count }, (_, number) => createHash('sha1').update(String(number)).digest());
const before = await heldBytes();
const startMs = performance.now();
const wake = async (): Promise<null> => null;
for (const hash of hashes) engine.registerDormant(hash, wake);
const registerMs = performance.now() - startMs;
const bytesEach = ((await heldBytes()) - before) / hashes.length;
const cpu = process.cpuUsage();
const idleFromMs = performance.now();
await sleep(idleMs);
const { user, system } = process.cpuUsage(cpu);
const cpuMsPerSec = (user + system) / (performance.now() - idleFromMs);
process.stdout.write(`${JSON.stringify({ dormant: engine.stats().dormant, registerMs, bytesEach, cpuMsPerSec })}\n`);
await engine.close();
