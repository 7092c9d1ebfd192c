/**
 * `npm run bench -- warm [--small]`: touches most of the free memory once and keeps it ready (see support/warm.ts)
 * until Ctrl-C. For a series of benches on a virtual machine, in another terminal; each bench by itself does so only
 * for the bytes of its own copy.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { availableBytes, warmMemory } from './support/warm.js';

const SHARE = 0.75;
const SMALL_BYTES = 64 * 2 ** 20;

export async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { small: { type: 'boolean', default: false } } });
  const bytes = values.small ? SMALL_BYTES : availableBytes() * SHARE;
  process.stdout.write(`touching ${(bytes / 2 ** 30).toFixed(1)} GiB\n`);
  const end = warmMemory(bytes);
  if (!values.small) {
    process.stdout.write('ready; Ctrl-C ends it\n');
    const held = setInterval(() => {}, 60_000);
    await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    clearInterval(held);
  }
  end();
}
